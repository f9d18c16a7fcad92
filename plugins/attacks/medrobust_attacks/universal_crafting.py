"""What the universal attacks share: images at a perturbation, their distance from the goal, the ball around zero."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from medrobust import Budget, Classifier, CraftingImages, Goal, Loss, SampleRNG, Targeted, Untargeted, decide

from .geometry import radius

GradientFrom = Literal["logits", "probs_clipped"]

_KERAS_EPSILON = 1e-7
_PIXELS_AT_ONCE = 2_000_000
_TINY = 1e-12


def shrink(perturbation: Tensor, budget: Budget) -> Tensor:
    """The nearest point of the ball around zero; in place."""
    eps = radius(budget)
    if budget.norm == "linf":
        return perturbation.clamp_(-eps, eps)
    return perturbation.mul_((eps / torch.linalg.vector_norm(perturbation).clamp(min=_TINY)).clamp(max=1.0))


def common(rng: SampleRNG) -> SampleRNG:
    """The stream for draws that concern no single image."""
    return rng[torch.zeros(1, dtype=torch.int64)]


def image_orders(rng: SampleRNG, count: int, device: torch.device | str = "cpu") -> Iterator[Tensor]:
    """Indices of `count` images in a fresh random order, pass after pass."""
    stream = common(rng)
    while True:
        yield stream.uniform((count,))[0].argsort(stable=True).to(device)


class Chunk:
    """A range of crafting images as crafting images of their own; none is read before it is indexed."""

    def __init__(self, images: CraftingImages, start: int, size: int) -> None:
        self._images = images
        self._start = start
        self.shape = torch.Size((size, *images.shape[1:]))
        self.device = images.device

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Tensor, /) -> Tensor:
        return self._images[index + self._start]


def images_at_once(images: CraftingImages) -> int:
    """Number of images passed forward together where only predictions are wanted."""
    return max(8, min(128, _PIXELS_AT_ONCE // max(images.shape[1:].numel(), 1)))


def blocks(images: CraftingImages) -> Iterator[Tensor]:
    """The numbers of all images, in blocks that are passed forward together."""
    yield from torch.arange(len(images), device=images.device).split(images_at_once(images))


def own_goal(classifier: Classifier, images: CraftingImages, goal: Goal) -> Goal:
    """The goal without true labels: away from the model's own clean predictions, or towards the targets as given."""
    if isinstance(goal, Targeted):
        return goal
    multilabel = classifier.task == "multilabel"
    seen = [decide(classifier.logits(images[index]), multilabel=multilabel) for index in blocks(images)]
    return Untargeted(torch.cat(seen))


def loss_of(goal: Goal, grad_from: GradientFrom) -> Loss:
    """The loss that is ascended: of the logits, or of probabilities clipped as Keras clips them.

    With `probs_clipped`, an image whose probabilities are all beyond the clip has no gradient.
    """
    if grad_from == "logits":
        return goal.loss

    def loss(logits: Tensor) -> Tensor:
        low, high = _KERAS_EPSILON, 1 - _KERAS_EPSILON
        if goal.labels.ndim == 1:
            return goal.loss(logits.softmax(dim=1).clamp(low, high).log())
        return goal.loss(logits.sigmoid().clamp(low, high).logit())

    return loss


@dataclass(frozen=True)
class Attempt:
    """Sign steps tried from one perturbation on the images of a block that had not reached the goal.

    Attributes:
        positions: their positions in the block (k,), ascending.
        images: the clean images (k, c, h, w).
        stepped: images plus perturbation plus step (k, c, h, w), not clipped.
        accepted: whether the step makes its image reach the goal (k,).
    """

    positions: Tensor
    images: Tensor
    stepped: Tensor
    accepted: Tensor


@dataclass(frozen=True)
class Crafting:
    """A set of images and what one perturbation of all of them shall do.

    Attributes:
        classifier: the model under attack.
        images: clean images (n, c, h, w), read as they are indexed.
        goal: away from the clean predictions, or towards the targets (see `own_goal`).
        budget: norm, radius and box; the model sees images clipped to the box, if there is one.
        step_size: length of a sign step per pixel, pixels in [0, 1].
        grad_from: what the loss is computed from.
    """

    classifier: Classifier
    images: CraftingImages
    goal: Goal
    budget: Budget
    step_size: float
    grad_from: GradientFrom = "logits"

    def zero(self) -> Tensor:
        """The perturbation to begin with (c, h, w)."""
        return torch.zeros(self.images.shape[1:], device=self.images.device)

    def shown(self, moved: Tensor) -> Tensor:
        """What the model sees of `moved` images."""
        return moved if self.budget.box is None else moved.clamp(*self.budget.box)

    def logits(self, moved: Tensor) -> Tensor:
        """Logits of `moved` images as the model sees them."""
        return self.classifier.logits(self.shown(moved))

    def sign_steps(self, moved: Tensor, goal: Goal) -> tuple[Tensor, Tensor]:
        """A step of each image along the sign of its gradient, and the logits it was taken at."""
        gradient, _, logits = self.classifier.gradient(self.shown(moved), loss_of(goal, self.grad_from))
        return gradient.sign_().mul_(self.step_size), logits

    def done(self, perturbation: Tensor, delta: float) -> bool:
        """Whether the share of images that reach the goal is at least 1 - delta; looks no further than it must."""
        count, missed = len(self.images), 0
        for index in blocks(self.images):
            missed += int((~self.goal[index].reached(self.logits(self.images[index] + perturbation))).sum())
            if (count - missed) / count < 1 - delta:
                return False
        return True

    def attempt(self, index: Tensor, perturbation: Tensor, *, eager: bool) -> Attempt:
        """Try a step on each image of `index` that has not reached the goal.

        With `eager` the gradient is taken for all of them at once, else after a forward pass has sorted out those that
        need none; the result is the same.
        """
        images, goal = self.images[index], self.goal[index]
        moved = images + perturbation
        steps, logits = self.sign_steps(moved, goal) if eager else (None, self.logits(moved))
        positions = (~goal.reached(logits)).nonzero().squeeze(1)
        if len(positions) < len(index):
            images, moved, goal = images[positions], moved[positions], goal[positions]
            steps = None if steps is None else steps[positions]
        if not len(positions):
            return Attempt(positions, images, moved, positions.bool())
        stepped = moved.add_(self.sign_steps(moved, goal)[0] if steps is None else steps)
        return Attempt(positions, images, stepped, goal.reached(self.logits(stepped)))
