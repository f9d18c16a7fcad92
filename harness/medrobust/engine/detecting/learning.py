"""Fitting a detector on images of a part, and scoring others by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...contracts import Detector, Features, Learning, State, predictions
from ...errors import DataError, PluginError
from ...grid.blocks import DetectorSpec
from ...grid.cells import Cell
from ...grid.slices import cut
from ..data import LoadedPart
from .taking import Seen, Taker


@dataclass(frozen=True)
class Halves:
    """The images that a detector is fitted on and those that it is scored on, as masks over a part.

    Attributes:
        fitted: of the slice it is fitted on, those that are correct when clean.
        scored: all others; all images where the slice is the whole part.
    """

    fitted: NDArray[np.bool_]
    scored: NDArray[np.bool_]

    @property
    def warning(self) -> str:
        """What a reader of the scores must know; empty if nothing."""
        both = int((self.fitted & self.scored).sum())
        return f"scored on images that it was fitted on ({both} clean images)" if both else ""


def halves(spec: DetectorSpec, part: LoadedPart, correct: NDArray[np.bool_], split_seed: int) -> Halves:
    """Which images of a part are which: whole groups, stratified by class.

    Raises:
        DataError: if the slice holds no image that is correct when clean.
    """
    chosen = np.zeros(len(part), dtype=bool)
    chosen[cut(part.data, spec.fit_on, split_seed)] = True
    fitted = chosen & correct
    if not fitted.any():
        raise DataError(
            f"fit_on = '{spec.fit_on}': the model classifies none of its {int(chosen.sum())} images correctly"
        )
    return Halves(fitted, ~chosen if not chosen.all() else chosen)


class TrainingImages:
    """Features of the images that a model was trained on; taken when first asked for."""

    def __init__(self, taker: Taker, part: LoadedPart, device: str) -> None:
        self._taker, self._part, self._device = taker, part, device
        self._found: tuple[Features, NDArray[np.int64]] | None = None

    def __call__(self) -> tuple[Features, NDArray[np.int64]]:
        if self._found is None:
            if self._part.data.labels is None:
                raise DataError("the images that the model was trained on have no labels")
            seen = self._taker.of_part(self._part, self._device)
            self._found = seen.features, np.asarray(self._part.data.labels, dtype=np.int64)
        return self._found


def fitted(
    detector: Detector, clean: Features, adversarial: Features, split: Halves, train: TrainingImages, cell: Cell
) -> State:
    """What a detector learns.

    Raises:
        PluginError: if it cannot learn, or returns no arrays.
    """
    known = split.fitted
    learning = Learning(
        clean=clean[known],
        adversarial=adversarial[known],
        train=train,
        classes=cell.target.info.classes,
        seed=cell.target.seed,
        judged=clean[split.scored] if detector.leaks else None,
    )
    state = detector.fit(learning)
    if not isinstance(state, dict) or not all(isinstance(each, np.ndarray) for each in state.values()):
        raise PluginError(f"detector '{detector.title}': `fit` must return a dict of NumPy arrays by name")
    if strange := [name for name, each in state.items() if each.dtype.kind not in "biuf"]:
        raise PluginError(f"detector '{detector.title}': `{strange[0]}` of what it learned is no array of numbers")
    return state


def scored(detector: Detector, state: State, seen: Features) -> NDArray[np.float64]:
    """The scores (n,) of images.

    Raises:
        PluginError: if they are not one finite number for each image.
    """
    found = np.asarray(detector.score(state, seen))
    if found.shape != (len(seen),) or found.dtype.kind not in "biuf" or not np.isfinite(found).all():
        raise PluginError(
            f"detector '{detector.title}' must return a finite score for each of {len(seen)} images, not "
            f"{found.dtype} {found.shape}{'' if found.shape != (len(seen),) else ' with others among them'}"
        )
    return found.astype(np.float64)


def correct_when_clean(clean: Seen, part: LoadedPart) -> NDArray[np.bool_]:
    """Which images of a part the model classifies correctly.

    Raises:
        DataError: without labels.
    """
    if part.labels is None:
        raise DataError("a detector needs to know which images are classified correctly, and these have no labels")
    return np.asarray((predictions(clean.logits) == part.labels).numpy())


def tensors_of(state: State) -> dict[str, Tensor]:
    """What a detector has learned, as the store keeps it."""
    return {name: torch.as_tensor(np.ascontiguousarray(values)) for name, values in state.items()}
