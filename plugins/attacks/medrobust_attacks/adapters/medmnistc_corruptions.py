"""The corruptions of MedMNIST-C as attacks that know nothing of the model: an extra, `medrobust[medmnistc]`.

`medmnistc:brightness_up` stands beside adversarial attacks under the budget `unbounded`. How strong a corruption is at
each of five severities was chosen by its authors for each data set, at 224 by 224 pixels.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from torch import Tensor

from medrobust import (
    Attack,
    Budget,
    Classifier,
    Goal,
    Passes,
    PluginError,
    Provider,
    Reference,
    SampleRNG,
    ThreatModel,
    adapted,
)

from ..references import MEDMNIST_C

Severity = Annotated[int, Field(ge=1, le=5)]
THREAT: Final = ThreatModel(norms={"unbounded"}, goals={"untargeted"}, knowledge="none")


@dataclass(frozen=True)
class Corruption(Attack):
    """A corruption of MedMNIST-C."""

    libraries: ClassVar[tuple[str, ...]] = ("medmnistc",)
    references: ClassVar[tuple[Reference, ...]] = (MEDMNIST_C,)
    threat: ClassVar[ThreatModel] = THREAT

    @property
    def title(self) -> str:
        return f"medmnistc:{self.name}"

    def cost(self, images: int, classes: int) -> Passes:
        return Passes()

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        fields: Any = self
        corruption = _registry()[fields.dataset][self.name]
        found = []
        for number, image in enumerate(images.permute(0, 2, 3, 1).cpu().numpy()):
            # Its numbers come from global generators; each image has a seed of its own, so that its batch is no matter.
            seed = rng[torch.tensor([number])].seed() % 2**32
            np.random.seed(seed)  # noqa: NPY002
            random.seed(seed)
            corruption.rng = np.random.default_rng(seed)
            found.append(_corrupted(corruption, image, fields.severity - 1))
        changed = torch.as_tensor(np.stack(found)).permute(0, 3, 1, 2)
        return changed.to(images).contiguous()


def _corrupted(corruption: Any, image: NDArray[np.float32], severity: int) -> NDArray[np.float32]:
    """An image (h, w, c) in [0, 1], passed through eight bits and three channels as the authors do."""
    pixels = np.round(image * 255).astype(np.uint8)
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    changed = Image.fromarray(np.asarray(corruption.apply(picture, severity), dtype=np.uint8))
    if image.shape[-1] == 1:
        changed = changed.convert("L")
    return np.asarray(changed, dtype=np.float32).reshape(image.shape) / np.float32(255)


class MedMNISTC(Provider):
    """The corruptions of MedMNIST-C."""

    prefix: ClassVar[str] = "medmnistc"
    kind: ClassVar[str] = "attack"
    library: ClassVar[str] = "medmnistc"
    install: ClassVar[str] = "pip install 'medrobust[medmnistc]'"

    def names(self) -> Iterable[str]:
        return {name for corruptions in _registry().values() for name in corruptions}

    def plugin(self, name: str) -> type[Corruption]:
        return _made(name)


def __getattr__(name: str) -> type[Corruption]:
    """The class of a corruption, for processes that are handed an instance."""
    if not name.startswith("_"):
        try:
            return _made(name)
        except KeyError:
            pass
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


@cache
def _registry() -> dict[str, dict[str, Any]]:
    """The corruptions by data set and name.

    Raises:
        PluginError: if ImageMagick, which one of them runs on, is not there.
    """
    try:
        found: dict[str, dict[str, Any]] = importlib.import_module("medmnistc.corruptions.registry").CORRUPTIONS_DS
    except ImportError as error:
        if "MagickWand" not in str(error):
            raise
        raise PluginError(
            "medmnistc needs the library ImageMagick, which pip does not install: "
            "apt-get install libmagickwand-6.q16-6, or brew install imagemagick"
        ) from None
    return found


@cache
def _made(name: str) -> type[Corruption]:
    registry = _registry()
    datasets = tuple(each for each, corruptions in registry.items() if name in corruptions)
    if not datasets:
        raise KeyError(name)
    kind = type(registry[datasets[0]][name]).__name__
    return adapted(
        Corruption,
        _nothing,
        __name__,
        name=name,
        fields={"dataset": (Literal[datasets], datasets[0]), "severity": (Severity, 3)},
        summary=f"{kind} as MedMNIST-C has it, at one of five severities that its authors chose for a data set.",
    )


def _nothing() -> None:
    """A corruption is there already; what a grid says of it are severity and data set.

    Args:
        dataset: whose parameters it has; its authors chose them at 224 by 224 pixels.
        severity: from 1 to 5.
    """
