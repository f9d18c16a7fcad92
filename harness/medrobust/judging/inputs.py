"""What scale of input a network was made for: declared, or found out by its clean accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor, nn

from ..contracts import Task, decide
from ..errors import ModelError, did_you_mean
from ..results.evidence.order import best_order, halves
from ..results.evidence.trial import LEVEL, fewer
from .wrapping import Scaled

GAIN: Final = 0.03
"""Share of clean images (of several labels: area under the curve) that another scale must win."""
ALIKE: Final = 0.02
"""Scales that differ by less cannot be told apart."""
BATCH: Final = 32


@dataclass(frozen=True)
class InputScale:
    """How images in [0, 1] become what a network is given: (x - mean) / deviation.

    Attributes:
        name: as `--input` spells it.
        words: for people.
        mean, deviation: of each channel; empty where images stay as they are.
    """

    name: str
    words: str
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    def around(self, module: nn.Module, channels: int) -> nn.Module:
        """A network that takes images in [0, 1]."""
        if not self.mean:
            return module
        return Scaled(module, _per_channel(self.mean, channels), _per_channel(self.deviation, channels))


UNIT: Final = InputScale("unit", "pixels in [0, 1]; it normalises them itself, if at all")
KNOWN: Final = (
    UNIT,
    InputScale(
        "imagenet", "pixels normalised by ImageNet's mean and deviation", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    ),
    InputScale("centre", "pixels in [-1, 1]", (0.5,), (0.5,)),
    InputScale("bytes", "pixels from 0 to 255", (0.0,), (1 / 255,)),
    InputScale("xrv", "pixels in [-1024, 1024], as TorchXRayVision has them", (0.5,), (1 / 2048,)),
)


def _per_channel(values: Sequence[float], channels: int) -> list[float]:
    return [values[i % len(values)] for i in range(channels)]


def parse_input(text: str) -> InputScale:
    """The scale that `--input` names: `unit`, `imagenet`, ..., or `mean=0.5 std=0.25` (one value, or one a channel).

    Raises:
        ModelError: with the accepted forms.
    """
    for scale in KNOWN:
        if scale.name == text:
            return scale
    words = dict(part.partition("=")[::2] for part in text.replace(",", " ").split())
    try:
        mean, deviation = (tuple(float(v) for v in words[key].split("/")) for key in ("mean", "std"))
        if len(words) != 2 or not all(v > 0 for v in deviation) or len(mean) != len(deviation):
            raise ValueError
    except (KeyError, ValueError):
        names = [scale.name for scale in KNOWN]
        raise ModelError(
            f"input '{text}' is none of {', '.join(names)}, nor mean and deviation such as 'mean=0.5 std=0.25' or "
            f"'mean=0.485/0.456/0.406 std=0.229/0.224/0.225'{did_you_mean(text, names)}"
        ) from None
    return InputScale(text, f"pixels normalised by {text}", mean, deviation)


def own_scale(images: Tensor) -> InputScale:
    """The normalisation by the mean and deviation of these images (n, c, h, w)."""
    mean = tuple(round(float(v), 3) for v in images.mean(dim=(0, 2, 3)))
    deviation = tuple(max(round(float(v), 3), 1e-3) for v in images.std(dim=(0, 2, 3)))
    name = f"mean={'/'.join(f'{v:g}' for v in mean)} std={'/'.join(f'{v:g}' for v in deviation)}"
    return InputScale(name, "pixels normalised by the images' own mean and deviation", mean, deviation)


@dataclass(frozen=True)
class FoundScale:
    """The scale that fits a network best, and what speaks for it.

    Attributes:
        scale: the best one.
        scores: what each reaches: share of clean images decided rightly, or mean area under the curve.
        better: whether it is significantly better than the scale that it was held against.
        alike: others that come as close as to be no different.
    """

    scale: InputScale
    scores: tuple[tuple[InputScale, float], ...]
    better: bool
    alike: tuple[InputScale, ...]

    def score(self, scale: InputScale) -> float:
        return dict(self.scores)[scale]


def find_scale(
    module: nn.Module, images: Tensor, labels: NDArray[np.int64], task: Task, classes: int, against: InputScale = UNIT
) -> FoundScale:
    """Try the scales that people use on clean images; the order of the outputs plays no part in the comparison.

    Args:
        module: in evaluation mode, takes (n, c, h, w).
        images: float32 in [0, 1].
        labels: class indices (n,), or a 0/1 matrix (n, labels).
        task: what the labels are.
        classes: how many there are.
        against: what is taken unless another is significantly better.
    """
    candidates = list(dict.fromkeys((against, *KNOWN, own_scale(images))))
    logits = {scale: logits_of(scale.around(module, images.shape[1]), images) for scale in candidates}
    if task == "multilabel":
        scores = {scale: _area(found, labels) for scale, found in logits.items()}
        sure = dict.fromkeys(candidates, True)
    else:
        right = {scale: _right(found, labels, classes) for scale, found in logits.items()}
        scores = {scale: float(found.mean()) for scale, found in right.items()}
        sure = {scale: fewer(right[against], right[scale]) < LEVEL / len(candidates) for scale in candidates}
    best = max(candidates, key=lambda scale: scores[scale])
    better = sure[best] and scores[best] - scores[against] >= GAIN
    taken = best if better else against
    alike = tuple(s for s in candidates if s != taken and abs(scores[s] - scores[taken]) < ALIKE)
    return FoundScale(taken, tuple(scores.items()), better, alike)


def logits_of(module: nn.Module, images: Tensor) -> NDArray[np.float32]:
    """What a network puts out for images, a few at a time (n, outputs)."""
    with torch.no_grad():
        found = torch.cat([module(batch).float() for batch in images.split(BATCH)])
    return np.asarray(found.numpy(), dtype=np.float32)


def _right(logits: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> NDArray[np.bool_]:
    """Which images are right with the outputs in the order that is best for the others (n,)."""
    if not np.isfinite(logits).all():
        return np.zeros(len(labels), dtype=bool)
    decided = np.asarray(decide(logits, multilabel=False))
    first = halves(len(labels), classes)
    right = np.zeros(len(labels), dtype=bool)
    for sought in (first, ~first):
        meaning = best_order(decided[sought], labels[sought], classes)
        right[~sought] = (meaning[decided] == labels)[~sought]
    return right


def _area(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The area under the curve, mean over the labels that some images have and others lack."""
    areas = []
    for index in range(labels.shape[1]):
        positive = labels[:, index] == 1
        if positive.any() and not positive.all():
            ranks = rankdata(np.nan_to_num(logits[:, index]))
            count = int(positive.sum())
            areas.append((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(labels) - count)))
    return float(np.mean(areas)) if areas else 0.5
