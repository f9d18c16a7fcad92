"""What a defense author implements: wrap a model, or harden it; and detectors, an axis of their own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from .classifier import Classifier
from .dataset import DataInfo, ImageData
from .model import Recipe
from .plugin import Plugin


class Defense(Plugin):
    """Base of what stands in the defense axis; implement :class:`Preprocessing` or :class:`Hardening`."""

    kind: ClassVar[str] = "defense"


class Preprocessing(Defense):
    """An input transformation in front of a trained model."""

    @abstractmethod
    def wrap(self, module: nn.Module) -> nn.Module:
        """A module that transforms its images (n, c, h, w) in [0, 1] and passes them on to `module`."""


@dataclass(frozen=True)
class Training:
    """What a hardening defense is given.

    Attributes:
        module: the trained model, to be changed in place.
        data: the training images.
        info: classes and task.
        recipe: the recipe the model was trained with.
        seed: seed of every draw.
        classifier: gives the classifier view of a module, for crafting.
        fit: trains a module on float images (n, c, h, w) and labels by a recipe; the host's training loop.
        progress: called with (done, total).
    """

    module: nn.Module
    data: ImageData
    info: DataInfo
    recipe: Recipe
    seed: int
    classifier: Callable[[nn.Module], Classifier]
    fit: Callable[..., None]
    progress: Callable[[int, int], None]


class Hardening(Defense):
    """A defense that changes the weights: adversarial training, adversarial retraining."""

    @abstractmethod
    def harden(self, training: Training) -> Iterator[nn.Module]:
        """The hardened module after iteration 1, 2, ... of the cumulative field (once, if there is none).

        Each is kept, so that a killed run resumes after the last one.
        """


class Detector(Plugin):
    """Tells adversarial images from clean ones by features of the model."""

    kind: ClassVar[str] = "detector"

    @abstractmethod
    def fit(self, clean: NDArray[np.float32], adversarial: NDArray[np.float32], predicted: NDArray[np.int64]) -> Any:
        """A fitted state, from features (n, d) of clean and adversarial images and the clean images' predictions."""

    @abstractmethod
    def score(self, state: Any, features: NDArray[np.float32], predicted: NDArray[np.int64]) -> NDArray[np.float64]:
        """A score per image (n,): the higher, the more adversarial."""


class Probe(Plugin):
    """Named arrays for what logits cannot show: example images, features, saliency, loss surfaces."""

    kind: ClassVar[str] = "probe"

    @abstractmethod
    def measure(self, classifier: Classifier, images: Tensor, adversarial: Tensor) -> dict[str, NDArray[Any]]:
        """Arrays by name, first axis the images (n, ...)."""
