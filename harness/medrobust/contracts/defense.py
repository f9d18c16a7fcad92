"""What a defense author implements: preprocessing and training defenses. Detectors are an axis of their own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from .attack import Attack, UniversalAttack
from .budget import Budget, BudgetSpec
from .classifier import Classifier
from .cost import Passes
from .goal import Goal
from .model import Recipe
from .pixels import CraftingImages
from .plugin import Plugin, cumulative_field
from .rng import SampleRNG


class Defense(Plugin):
    """Base of defenses: `Preprocessing`, `RandomPreprocessing` and `TrainingDefense`."""

    kind: ClassVar[str] = "defense"
    stochastic: ClassVar[bool] = False
    """Whether the defended model may give different logits for equal images: the host judges each by several draws.

    Prefer `RandomPreprocessing`: numbers from the global generators of torch, numpy or random depend on the
    batch."""


class Preprocessing(Defense):
    """An input transformation in front of a trained model."""

    @abstractmethod
    def wrap(self, module: nn.Module) -> nn.Module:
        """A module that transforms its images (n, c, h, w) in [0, 1] and passes them on to `module`."""


class RandomPreprocessing(Defense):
    """An input transformation that draws random numbers.

    The host gives the numbers, a stream for each image and each pass, so that a record can be computed again. It judges
    every image by several draws, and attacks may average gradients over draws (`Classifier.gradient`).
    """

    stochastic: ClassVar[bool] = True

    @abstractmethod
    def transform(self, images: Tensor, rng: SampleRNG) -> Tensor:
        """Images (n, c, h, w) for the model, from images in [0, 1] of that shape; gradients pass through where they
        can. `rng` is the only source of randomness: one stream for each image."""


class TransformImages(Protocol):
    """Changes a batch of training images: float32 (n, c, h, w) in [0, 1], labels, and the images' numbers (n,)."""

    def __call__(self, images: Tensor, labels: Tensor, index: Tensor) -> Tensor: ...


class Fit(Protocol):
    """The host's training loop on the training images of a training defense.

    It trains `module` in place by `recipe` with a fresh optimiser. `before` changes images before augmentation (a
    perturbed data set), `after` changes them after it (adversarial training).
    """

    def __call__(
        self, recipe: Recipe, seed: int, *, before: TransformImages | None = None, after: TransformImages | None = None
    ) -> None: ...


class MakeClassifier(Protocol):
    """Gives the classifier of the module that is being trained."""

    def __call__(self, *, live: bool = False) -> Classifier: ...


class CraftImages(Protocol):
    """Adversarial images of some training images, crafted and verified by the host as in a grid.

    Raises:
        PluginError: if the attack breaks its budget or the contract.
    """

    def __call__(
        self, attack: Attack, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG
    ) -> Tensor: ...


class FitPerturbation(Protocol):
    """A universal perturbation (c, h, w) of the training images, verified by the host.

    Raises:
        PluginError: if the attack breaks its budget or the contract.
    """

    def __call__(
        self, attack: UniversalAttack, classifier: Classifier, goal: Goal, budget: Budget, rng: SampleRNG
    ) -> Tensor: ...


@dataclass(frozen=True)
class Training:
    """What a training defense is given.

    Attributes:
        module: the model, to be changed in place by `fit`; it holds the weights after `done` iterations.
        images: the training images, float32 (n, c, h, w) in [0, 1], read as they are indexed.
        labels: their labels.
        ids: their sample ids.
        classes: class names.
        recipe: the recipe the model was trained with.
        seed: seed of every draw.
        done: number of iterations that an earlier, interrupted run has finished.
        classifier: gives the classifier of the module: prepared from its present weights, or, for use inside `after`,
            following them as they change (`classifier(live=True)`).
        fit: the host's training loop.
        craft: runs an attack on a batch of training images.
        perturbation: fits a universal perturbation on the training images, which the host permutes; goal and streams
            are given in the order of `images`.
        budget: resolves a budget against the training images.
        progress: called with (done, total, what).
    """

    module: nn.Module
    images: CraftingImages
    labels: Tensor
    ids: NDArray[np.str_]
    classes: tuple[str, ...]
    recipe: Recipe
    seed: int
    done: int
    classifier: MakeClassifier
    fit: Fit
    craft: CraftImages
    perturbation: FitPerturbation
    budget: Callable[[BudgetSpec], Budget]
    progress: Callable[[int, int, str], None]


class TrainingDefense(Defense):
    """A defense that changes the weights: adversarial training, adversarial retraining."""

    @abstractmethod
    def train(self, training: Training) -> Iterator[nn.Module]:
        """Yield the trained module after iteration `training.done + 1`, ... up to the last.

        The host keeps each, so that an interrupted run continues after the last one. With a cumulative field, the
        module after each iteration is a target of its own; otherwise only the last.
        """

    def cost(self, images: int, classes: int) -> Passes:
        """About what it asks of the model where there are so many training images and classes; for estimates of time.

        The default counts as many epochs as its fields `epochs` and its cumulative field say.
        """
        field = cumulative_field(self)
        rounds = getattr(self, field) if field else 1
        return Passes(training=float(images) * rounds * getattr(self, "epochs", 1))
