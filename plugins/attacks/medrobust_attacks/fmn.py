"""FMN and DDN: steps along the gradient inside a ball that shrinks while the goal is reached and grows while not."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from medrobust import (
    Budget,
    Classifier,
    Count,
    Goal,
    IterativeAttack,
    Norm,
    Positive,
    Reference,
    SampleRNG,
    ThreatModel,
    cumulative,
)

from .geometry import DUAL, NORMS, laid_out_as, lengths, per_image
from .gradient import Steps
from .margin import nearness
from .minimal import Closest, clearance, clearly_reached
from .references import FMN_ATTACK, RONY

_LAST_GAMMA = 1e-3
_LAST_STEP = 0.01
"""Of the first step."""
_TINY = 1e-12
Change = Annotated[float, Field(gt=0, lt=1)]
"""By which share a radius changes from step to step."""


@dataclass(frozen=True)
class FMN(IterativeAttack):
    """Fast minimum-norm attack: gradient steps on the margin, in a ball whose radius is searched for on the way.

    Pintor, Roli, Brendel, Biggio, "Fast minimum-norm adversarial attacks through adaptive norm constraints", NeurIPS
    2021, algorithm 1. Until an image is broken, its radius is where the linearised margin ends; from then on it shrinks
    by `gamma` after each step that ends broken and grows after each that does not. Steps and `gamma` fall along a
    cosine. Other than in the paper, the radius grows by `gamma` before the first success too, where that is more: on
    a network whose gradient turns within a step, the linearised margin alone leaves images unbroken.

    For `min` it yields the closest image found that is broken, for a radius the closest within it; where there is none,
    the clean image.

    Attributes:
        steps: steps, each with a gradient; the first is that of the clean image (cumulative).
        step_size: l2 length of the first step, pixels in [0, 1]; the last has a hundredth of it.
        gamma: share by which a radius changes at first; 0.001 in the end.
        schedule: number of steps that step size and `gamma` are planned for. It does not depend on `steps`, so that a
            run of fewer steps is a prefix.
    """

    name: ClassVar[str] = "fmn"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (FMN_ATTACK,)
    threat: ClassVar[ThreatModel] = ThreatModel(norms=NORMS, minimal=True)
    sees_result: ClassVar[bool] = True
    steps: Count = cumulative(100)
    step_size: Positive = 1.0
    gamma: Change = 0.05
    schedule: Count = 100

    def iterates(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Steps:
        state, norm = _Search.begin(images, budget), budget.norm
        for number in range(self.steps):
            gradient, margin, logits = classifier.gradient(state.point, nearness(goal))
            state, broken = state.laid_out_as(gradient), clearly_reached(goal, logits)
            offset = state.learn(broken, norm)
            share = _cosine(number, self.schedule)
            gamma = _LAST_GAMMA + (self.gamma - _LAST_GAMMA) * share
            # Twice what counts as clear: a radius that ends at the boundary itself might be approached for ever.
            beyond = margin.abs() + 2 * clearance(logits)
            boundary = state.length + beyond / lengths(gradient, DUAL[norm]).clamp_min_(_TINY)
            grown = state.radius * (1 + gamma)
            grown = torch.where(state.ever | (grown.isfinite() & (grown > boundary)), grown, boundary)
            shrunk = torch.minimum(state.radius * (1 - gamma), state.shortest)
            state.radius = torch.where(broken, shrunk, grown).clamp_max_(state.farthest)
            size = self.step_size * (_LAST_STEP + (1 - _LAST_STEP) * share)
            state.move(_along(gradient, size, offset), budget)
            keep = yield state.best.images
            if keep is not None:
                state, goal = state[keep], goal[keep]


@dataclass(frozen=True)
class DDN(IterativeAttack):
    """Decoupled direction and norm: gradient steps on the cross-entropy, put back on a sphere of changing radius.

    Rony, Hafemann, Oliveira, Ben Ayed, Sabourin, Granger, "Decoupling direction and norm for efficient gradient-based
    L2 adversarial attacks and defenses", CVPR 2019, algorithm 1, without its rounding to 8 bits. The radius shrinks by
    `gamma` after each step that ends broken and grows after each that does not; steps fall along a cosine. For `min` it
    yields the closest image found that is broken, for a radius the closest within it; where there is none, the clean
    image.

    Attributes:
        steps: steps, each with a gradient; the first is that of the clean image (cumulative).
        first_radius: radius of the sphere of the first step, l2 of pixels in [0, 1].
        gamma: share by which the radius changes.
        schedule: number of steps that step sizes are planned for. It does not depend on `steps`, so that a run of fewer
            steps is a prefix.
    """

    name: ClassVar[str] = "ddn"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (RONY,)
    threat: ClassVar[ThreatModel] = ThreatModel(norms=frozenset({"l2"}), minimal=True)
    sees_result: ClassVar[bool] = True
    steps: Count = cumulative(100)
    first_radius: Positive = 1.0
    gamma: Change = 0.05
    schedule: Count = 100

    def iterates(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Steps:
        state = _Search.begin(images, budget, self.first_radius)
        for number in range(self.steps):
            gradient, _, logits = classifier.gradient(state.point, goal.loss)
            state, broken = state.laid_out_as(gradient), clearly_reached(goal, logits)
            offset = state.learn(broken, "l2")
            state.radius = torch.where(broken, state.radius * (1 - self.gamma), state.radius * (1 + self.gamma))
            state.radius.clamp_max_(state.farthest)
            size = _LAST_STEP + (1 - _LAST_STEP) * _cosine(number, self.schedule)
            state.move(_along(gradient, size, offset), budget, onto_sphere=True)
            keep = yield state.best.images
            if keep is not None:
                state, goal = state[keep], goal[keep]


def _cosine(number: int, schedule: int) -> float:
    """From 1 at the first step down to 0 at the end of the schedule."""
    return (1 + math.cos(math.pi * min(number / schedule, 1.0))) / 2


def _along(gradient: Tensor, size: float, offset: Tensor) -> Tensor:
    """`offset` after a step of l2 length `size` along the gradient; works in place on `offset`."""
    return offset.addcmul_(gradient, per_image(size / lengths(gradient, "l2").clamp_min_(_TINY)))


@dataclass
class _Search:
    """The state of each image; the first dimension of every tensor is that of the images that are left."""

    images: Tensor
    point: Tensor
    radius: Tensor
    """Of the ball that the next step stays in, (n,)."""
    farthest: Tensor
    """How far the box lets an image go, (n,)."""
    length: Tensor
    """Of the perturbation of `point`, (n,)."""
    shortest: Tensor
    """Of any that was broken, within the budget's radius or not, (n,)."""
    ever: Tensor
    """Whether any point was broken, (n,)."""
    best: Closest

    @classmethod
    def begin(cls, images: Tensor, budget: Budget, radius: float = torch.inf) -> _Search:
        zeros = images.new_zeros(len(images))
        far = torch.full_like(zeros, torch.inf)
        if budget.box is not None:
            far = lengths(torch.maximum(images - budget.box[0], budget.box[1] - images), budget.norm)
        return cls(
            images=images,
            point=images,
            radius=torch.full_like(zeros, radius),
            farthest=far,
            length=zeros,
            shortest=torch.full_like(zeros, torch.inf),
            ever=zeros.bool(),
            best=Closest.begin(images, budget),
        )

    def __getitem__(self, keep: Tensor) -> _Search:
        return _Search(**{each.name: getattr(self, each.name)[keep] for each in fields(self)})

    def laid_out_as(self, like: Tensor) -> _Search:
        """Itself, with images in the memory layout of gradients."""
        self.images, self.point = laid_out_as(self.images, like), laid_out_as(self.point, like)
        self.best.images = laid_out_as(self.best.images, like)
        return self

    def learn(self, broken: Tensor, norm: Norm) -> Tensor:
        """Take in which points are broken; gives the perturbations (n, c, h, w)."""
        offset = self.point - self.images
        self.length = lengths(offset, norm)
        self.best.learn(self.point, self.length, broken)
        self.shortest = torch.where(broken, torch.minimum(self.length, self.shortest), self.shortest)
        self.ever |= broken
        return offset

    def move(self, offset: Tensor, budget: Budget, *, onto_sphere: bool = False) -> None:
        """Go on from the image plus `offset`, put into the ball of the radius (or onto its sphere) and into the box."""
        if budget.norm == "linf":
            bound = per_image(self.radius)
            self.point = torch.maximum(torch.minimum(offset, bound), -bound).add_(self.images)
        else:
            scale = self.radius / lengths(offset, "l2").clamp_min_(_TINY)
            self.point = torch.addcmul(self.images, offset, per_image(scale if onto_sphere else scale.clamp_max_(1.0)))
        if budget.box is not None:
            self.point.clamp_(*budget.box)
