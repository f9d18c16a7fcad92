"""What the author of a detector implements, and of an attack that knows the detector it faces."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .attack import Attack
from .budget import Budget
from .classifier import PENULTIMATE, Classifier
from .goal import Goal
from .plugin import Plugin
from .rng import SampleRNG

State = Mapping[str, NDArray[Any]]
"""What a detector has learned, as arrays by name; the host keeps it in the store."""
TensorScore = Callable[[Mapping[str, Tensor], Tensor], Tensor]
"""A detector's scores (n,) from features by layer (n, width) and logits (n, outputs), with their gradients."""


@dataclass(frozen=True)
class Features:
    """What a detector sees of some images.

    Attributes:
        layers: the outputs of its layers by name, float32 (n, width); of maps (n, c, h, w), the means over positions.
        predicted: the class that the model gives each image (n,).
    """

    layers: Mapping[str, NDArray[np.float32]]
    predicted: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.predicted)

    def __getitem__(self, rows: NDArray[Any]) -> Features:
        """Those of some of the images, by mask or place."""
        return Features({name: values[rows] for name, values in self.layers.items()}, self.predicted[rows])


@dataclass(frozen=True)
class Learning:
    """What a detector is given to learn from.

    Attributes:
        clean: images that the model classifies correctly, of the slice that the detector is fitted on.
        adversarial: the same images under attack, row by row, whether or not the attack succeeded.
        train: gives the images that the model was trained on, with their labels (n,); computed when first asked for.
        classes: names of the classes.
        seed: of every draw.
        judged: the clean images that it will be scored on. An honest detector does not look at them, and gets None; one
            that does says so in `leaks`.
    """

    clean: Features
    adversarial: Features
    train: Callable[[], tuple[Features, NDArray[np.int64]]]
    classes: tuple[str, ...]
    seed: int
    judged: Features | None = None


class Detector(Plugin):
    """Tells adversarial from clean images by what layers of the model put out."""

    kind: ClassVar[str] = "detector"

    @property
    def watches(self) -> tuple[str, ...]:
        """The layers whose output it sees; by default what goes into the last one."""
        return (PENULTIMATE,)

    @property
    def leaks(self) -> str:
        """What it has seen of the images it is scored on, in words that stand beside its numbers; empty if nothing.

        For what published code does and an honest evaluation does not.
        """
        return ""

    @abstractmethod
    def fit(self, learning: Learning) -> State:
        """What it learns, as arrays by name.

        Raises:
            PluginError: in words, if it cannot learn from these images.
        """

    @abstractmethod
    def score(self, state: State, seen: Features) -> NDArray[np.float64]:
        """A score for each image (n,): the higher, the more adversarial. `state` is what `fit` returned."""

    def differentiable(self, state: State) -> TensorScore | None:
        """The score as a function that torch can differentiate, for attacks that know the detector; None if it is none.

        Where there is none, such attacks make features look like those of clean images.
        """
        return None


@dataclass(frozen=True)
class Detection:
    """A detector as an attack that knows it sees it.

    Attributes:
        layer: the layer that it watches, the first of several.
        score: its scores (n,) of images, without gradient; one more pass through the model.
        loss: of features of `layer` (n, ...) and logits, a number for each image that falls as the image looks more
            like a clean one: the detector's own score where that can be differentiated, else the distance to the
            nearest clean training image of the class that the image is driven to, in units of the usual distance.
        of_score: whether `loss` is the detector's score.
    """

    layer: str
    score: Callable[[Tensor], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    of_score: bool


class DetectorAttack(Attack):
    """An attack on model and detector together; a grid gives it a detector that has learned from another attack."""

    @abstractmethod
    def evade(
        self,
        classifier: Classifier,
        detection: Detection,
        images: Tensor,
        goal: Goal,
        budget: Budget,
        rng: SampleRNG,
    ) -> Tensor:
        """Adversarial images, as `perturb` of other attacks returns them."""

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> NoReturn:
        raise TypeError(f"{self.title} is run by the host against a detector, which it gives to `evade`")
