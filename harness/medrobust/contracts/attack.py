"""What an attack author implements."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import torch
from torch import Tensor

from .budget import Budget, BudgetSpec, Norm
from .classifier import Classifier, Task
from .cost import Passes
from .dataset import DataInfo
from .goal import Goal
from .pixels import CraftingImages
from .plugin import Plugin, cumulative_field
from .ranges import Count
from .rng import SampleRNG

Knowledge = Literal["white-box", "score-based", "decision-based", "none"]


@dataclass(frozen=True)
class ThreatModel:
    """What an attack assumes and supports; combinations of a grid that it does not support are excluded.

    Attributes:
        norms: norms of the budgets it supports; `unbounded` where it observes no radius, as patches and corruptions do.
        goals: goals it supports.
        knowledge: what it uses of the model it attacks.
        tasks: label types it supports.
        minimal: whether it can search for the smallest perturbation (budget `l2:min`).
        queries: largest number of forward passes per image, if there is one; shown to users, not enforced.
    """

    norms: frozenset[Norm] | set[Norm]
    goals: frozenset[str] | set[str] = frozenset({"untargeted", "targeted"})
    knowledge: Knowledge = "white-box"
    tasks: frozenset[Task] | set[Task] = frozenset({"multiclass", "multilabel"})
    minimal: bool = False
    queries: int | None = None

    def excludes(self, *, norm: Norm, targeted: bool, task: Task, minimal: bool) -> str | None:
        """Why a combination is impossible, or None."""
        if norm not in self.norms:
            return f"supports the norms {', '.join(sorted(self.norms))}, not {norm}"
        if (goal := "targeted" if targeted else "untargeted") not in self.goals:
            return f"has no {goal} form"
        if task not in self.tasks:
            return f"does not support {task} labels"
        if minimal and not self.minimal:
            return "needs a radius; 'min' is for minimal-norm attacks"
        return None


class AnyAttack(Plugin):
    """Base of all attacks; implement `Attack`, `UniversalAttack`, or a class derived from them."""

    kind: ClassVar[str] = "attack"
    threat: ClassVar[ThreatModel]
    batch_size: ClassVar[Count | None] = None
    """Set it if the result for an image depends on the others of its batch: the host then gives batches of exactly
    this size, in order (the last may be smaller), and the size is part of the cell's identity. It has no meaning for a
    universal attack, which sees all its images at once."""
    global_rng: ClassVar[bool] = False
    """Whether the attack, or a library that it calls, draws from the global generators of torch, numpy or random. The
    host then seeds them for each batch; without a `batch_size`, batches are of 32 images."""

    @property
    def made_of(self) -> tuple[AnyAttack, ...]:
        """The attacks in its fields; what one of them does not support, it does not support either."""
        return ()

    def unsuited(self, budget: BudgetSpec, info: DataInfo) -> str:
        """Why it cannot run with a budget on images of a data set, beyond what `threat` says; empty if it can.

        The grid then leaves the combination out and tells the reason, which continues the attack's name: "needs images
        of three channels".
        """
        return ""

    def cost(self, images: int, classes: int) -> Passes:
        """About what it asks of a model of so many classes where it runs on so many images; for estimates of time.

        The default counts one pass per image for each value of the cumulative field (steps, queries), with a gradient
        for a white-box attack. Override it where that is far off.
        """
        field = cumulative_field(self)
        count = float(images) * (getattr(self, field) if field else 1)
        match self.threat.knowledge:
            case "none":
                return Passes()
            case "white-box":
                return Passes(gradient=count)
        return Passes(forward=count)


class Attack(AnyAttack):
    """Perturbs each image on its own."""

    @abstractmethod
    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        """Adversarial images.

        Args:
            classifier: the model under attack (the surrogate, in a transfer attack).
            images: float32 (n, c, h, w) in [0, 1]; not to be changed in place.
            goal: labels to move away from or towards; ascend `goal.loss`.
            budget: norm, radius (pixels in [0, 1]) and box; the host checks them.
            rng: a random stream for each image; the only source of randomness.

        Returns:
            float32, shape of `images`.
        """


class IterativeAttack(Attack):
    """Yields its images after each step: a run of n steps gives the result of every smaller number too.

    The implementing dataclass declares its step count with `cumulative`.
    """

    sees_result: ClassVar[bool] = False
    """Whether the last pass of a step is on the images that it yields, as in a search that keeps the best image: the
    host then knows from its logits which of them look broken. Gradient steps pass an image only after they yield it."""

    @abstractmethod
    def iterates(
        self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG
    ) -> Generator[Tensor, Tensor | None, None]:
        """Adversarial images after step 1, 2, ... up to the cumulative field; arguments as in `perturb`.

        The next step may overwrite a yielded tensor; copy it to keep it. With `stop = "success"` the host answers a
        step with a boolean mask of the images that are not broken yet: `keep = yield images`. An attack that goes on
        with those alone (`goal[keep]`, `rng[keep]`) is faster; one that ignores the mask gives the same result.
        """

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        last = deque(self.iterates(classifier, images, goal, budget, rng), maxlen=1)
        return last[0] if last else images


class DerivedAttack(Attack):
    """Works on the adversarial images of another attack (`of`) without crafting them again: controls, rounding.

    The implementing dataclass has a field `of: AnyAttack`. If that is a universal attack, the adversarial images are
    the images with the perturbation added.
    """

    of: AnyAttack

    @property
    def made_of(self) -> tuple[AnyAttack, ...]:
        return (self.of,)

    def cost(self, images: int, classes: int) -> Passes:
        return Passes()

    @abstractmethod
    def derive(self, images: Tensor, adversarial: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        """New adversarial images from clean `images` and the `adversarial` ones of `of`, same shapes."""

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        if not isinstance(self.of, Attack):
            raise TypeError(f"{self.of.title} is run by the host, which gives its images to `derive`")
        return self.derive(images, self.of.perturb(classifier, images, goal, budget, rng), goal, budget, rng)


class Ensemble(AnyAttack):
    """Several attacks as one adversary: an image is broken if one of them breaks it.

    The host runs the members. At full strength every image is attacked by all of them, and the worst result is kept;
    with `stop = "success"` a member gets the images that those before it have left unbroken.
    """

    @abstractmethod
    def members(self, classes: int) -> Sequence[Attack]:
        """The attacks for a model with this many classes, cheapest first.

        Each draws the same random numbers as it would alone; a second, equal member draws different ones.
        """

    def cost(self, images: int, classes: int) -> Passes:
        return sum((member.cost(images, classes) for member in self.members(classes)), Passes())


class UniversalAttack(AnyAttack):
    """Finds one perturbation for all images; crafted on `craft_on`, added to every evaluated image by the host.

    The host gives the crafting images in an order that it has permuted by the seed, with goal and streams to match, and
    reads them from disk as they are indexed: an attack that takes them a batch at a time runs in bounded memory.
    """

    @abstractmethod
    def fit(self, classifier: Classifier, images: CraftingImages, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        """One perturbation (c, h, w) within the budget, from crafting images (n, c, h, w).

        Args:
            classifier: the model that the perturbation is crafted against.
            images: indexed like a tensor along the first axis, by numbers or ranges: `images[index]`, `images[:32]`.
            goal: labels to leave or to reach, for all images.
            budget: norm and radius of the perturbation, and the box of the images.
            rng: a stream for each image; draw numbers that concern no single image from `rng[:1]`.
        """


class IterativeUniversalAttack(UniversalAttack):
    """A universal attack in iterations (chunks, epochs), each of which yields a perturbation.

    The implementing dataclass declares its number of iterations with `cumulative`.
    """

    @abstractmethod
    def iterates(
        self, classifier: Classifier, images: CraftingImages, goal: Goal, budget: Budget, rng: SampleRNG
    ) -> Iterator[Tensor]:
        """The perturbation (c, h, w) after iteration 1, 2, ... up to the cumulative field; arguments as in `fit`.

        The next iteration may overwrite a yielded tensor; copy it to keep it.
        """

    def fit(self, classifier: Classifier, images: CraftingImages, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        last = deque(self.iterates(classifier, images, goal, budget, rng), maxlen=1)
        return last[0] if last else torch.zeros(images.shape[1:], device=images.device)


GLOBAL_RNG_BATCH: Final = 32
"""Batch size of an attack that draws from global generators and declares no batch size."""


def parts_of(attack: AnyAttack) -> Iterator[AnyAttack]:
    """An attack and all attacks that it is made of, outermost first."""
    yield attack
    for part in attack.made_of:
        yield from parts_of(part)


def uses_global_rng(attack: AnyAttack) -> bool:
    """Whether the global generators must be seeded before each batch that the attack is given."""
    return any(part.global_rng for part in parts_of(attack))


def batch_sizes(attack: AnyAttack) -> frozenset[int]:
    """Batch sizes that an attack and the attacks it is made of require; several cannot be met at once."""
    per_image = [part for part in parts_of(attack) if not isinstance(part, UniversalAttack)]
    asked = (part.batch_size or (GLOBAL_RNG_BATCH if part.global_rng else None) for part in per_image)
    return frozenset(size for size in asked if size is not None)


def batch_of(attack: AnyAttack) -> int | None:
    """Number of images in each batch that the attack must be given; None if batches make no difference to it.

    If its parts require different sizes, the largest of them; no cell is planned for such an attack.
    """
    return max(batch_sizes(attack), default=None)
