"""Auto-PGD: projected gradient ascent with momentum whose step halves where it no longer helps."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from medrobust import (
    Budget,
    Classifier,
    Count,
    Goal,
    Gradient,
    IterativeAttack,
    Loss,
    Reference,
    SampleRNG,
    ThreatModel,
    Whole,
    cumulative,
)

from .geometry import NORMS, laid_out_as, per_image, project, radius, random_point, steepest
from .gradient import Steps
from .margin import dlr_loss, rival_classes
from .references import AUTOATTACK

_MOMENTUM = 0.25
"""Share of the previous move in the next (1 - alpha in the paper)."""
_RISES = 0.75
"""Share of the steps since the last check that must have raised the loss (rho)."""


@dataclass(frozen=True)
class APGD(IterativeAttack):
    """Auto-PGD: the step starts at twice the radius and halves, image by image, where the loss stopped rising.

    Croce, Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks",
    ICML 2020, algorithm 1. When its step is halved, an image continues from the best point found. The search begins at
    a uniformly drawn point of the ball and yields the best point so far: broken before unbroken, then by the loss.

    Attributes:
        steps: steps, each with a gradient, after that of the start (cumulative).
        loss: `ce`, the goal's cross-entropy, or `dlr`, the difference of logits over their spread (section 4).
        rank: 0 moves away from the label; r moves towards the class with the r-th largest clean logit among the
            others, by the targeted form of `dlr` (section 5).
        schedule: number of steps that the checks are planned for. It does not depend on `steps`, so that a run of fewer
            steps is a prefix.
        draws: number of draws over which gradients of a random model are averaged (expectation over transformation).
    """

    name: ClassVar[str] = "apgd"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (AUTOATTACK,)
    threat: ClassVar[ThreatModel] = ThreatModel(norms=NORMS, tasks=frozenset({"multiclass"}))
    sees_result: ClassVar[bool] = True
    steps: Count = cumulative(100)
    loss: Literal["ce", "dlr"] = "ce"
    rank: Whole = 0
    schedule: Count = 100
    draws: Count = 1

    def __post_init__(self) -> None:
        if self.rank and self.loss != "dlr":
            raise ValueError('rank needs the loss "dlr"; write loss = "dlr"')

    def iterates(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Steps:
        rivals = rival_classes(classifier.logits(images), goal, self.rank) if self.rank else None
        start = random_point(images, budget, rng)
        at_start = classifier.gradient(start, self._loss(goal, rivals), draws=self.draws)
        state = _State.begin(images, start, at_start, goal.reached(at_start.logits), 2 * radius(budget), rivals)
        window, least, less = (max(1, int(share * self.schedule)) for share in (0.22, 0.06, 0.03))
        since = 0
        for number in range(self.steps):
            state.move(budget, _MOMENTUM if number else 0.0)
            found = classifier.gradient(state.point, self._loss(goal, state.rivals), draws=self.draws)
            state.learn(found, goal.reached(found.logits))
            since += 1
            if since == window:
                state.check(window)
                window, since = max(window - less, least), 0
            keep = yield state.result
            if keep is not None:
                state, goal = state[keep], goal[keep]

    def _loss(self, goal: Goal, rivals: Tensor | None) -> Loss:
        return goal.loss if self.loss == "ce" else dlr_loss(goal, rivals)


@dataclass
class _State:
    """The state of each image; the first dimension of every tensor is that of the images that are left."""

    images: Tensor
    rivals: Tensor | None
    """Classes to steer to, if any."""
    point: Tensor
    before: Tensor
    gradient: Tensor
    """At `point`."""
    loss: Tensor
    step: Tensor
    """Length of the next step, (n, 1, 1, 1)."""
    best: Tensor
    best_gradient: Tensor
    best_loss: Tensor
    result: Tensor
    result_loss: Tensor
    result_broken: Tensor
    rises: Tensor
    """Steps since the last check that raised the loss."""
    checked_loss: Tensor
    """`best_loss` at the last check."""
    halved: Tensor
    """Whether the last check halved the step."""

    @classmethod
    def begin(
        cls, images: Tensor, start: Tensor, found: Gradient, broken: Tensor, step: float, rivals: Tensor | None
    ) -> _State:
        gradient, loss = found.gradient, found.loss
        point = laid_out_as(start, gradient)
        return cls(
            images=laid_out_as(images, gradient),
            rivals=rivals,
            point=point,
            before=point,
            gradient=gradient,
            loss=loss,
            step=loss.new_full((len(images), 1, 1, 1), step),
            best=point.clone(),
            best_gradient=gradient.clone(),
            best_loss=loss.clone(),
            result=point.clone(),
            result_loss=loss.clone(),
            result_broken=broken,
            rises=torch.zeros_like(loss),
            checked_loss=loss.clone(),
            halved=torch.ones_like(broken),  # the first check looks at the rises alone
        )

    def __getitem__(self, keep: Tensor) -> _State:
        held = {f.name: getattr(self, f.name) for f in fields(self)}
        kept: dict[str, Any] = {name: None if value is None else value[keep] for name, value in held.items()}
        return _State(**kept)

    def move(self, budget: Budget, momentum: float) -> None:
        """Take a step along the gradient, and a share of the last move."""
        ahead = steepest(self.gradient.clone(), budget.norm).mul_(self.step).add_(self.point)
        ahead = project(ahead, self.images, budget)
        if momentum:
            ahead = ahead.lerp_(self.point, momentum).add_(self.point - self.before, alpha=momentum)
            ahead = project(ahead, self.images, budget)
        self.before, self.point = self.point, ahead

    def learn(self, found: Gradient, broken: Tensor) -> None:
        """Take in loss and gradient at the point."""
        self.rises += found.loss > self.loss
        self.gradient, self.loss = found.gradient, found.loss
        better = found.loss > self.best_loss
        self.best[better], self.best_gradient[better] = self.point[better], found.gradient[better]
        self.best_loss[better] = found.loss[better]
        worse = torch.where(broken == self.result_broken, found.loss > self.result_loss, broken)
        self.result[worse], self.result_loss[worse] = self.point[worse], found.loss[worse]
        self.result_broken |= broken

    def check(self, window: int) -> None:
        """Halve the step, and go back to the best point, where the loss rose too rarely or its best stayed."""
        stuck = ~self.halved & (self.checked_loss >= self.best_loss)
        halve = (self.rises <= _RISES * window) | stuck
        self.step[halve] /= 2
        self.point = torch.where(per_image(halve), self.best, self.point)
        self.gradient = torch.where(per_image(halve), self.best_gradient, self.gradient)
        self.halved, self.checked_loss = halve, self.best_loss.clone()
        self.rises = torch.zeros_like(self.rises)
