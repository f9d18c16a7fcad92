"""Attacks that follow the gradient of the loss: FGSM, BIM, PGD."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from medrobust import (
    Attack,
    Budget,
    Classifier,
    Count,
    Goal,
    IterativeAttack,
    Length,
    Loss,
    Reference,
    SampleRNG,
    ThreatModel,
    cumulative,
)

from .geometry import NORMS, corners, laid_out_as, project, radius, random_point, steepest
from .references import GOODFELLOW, KURAKIN, MADRY

Steps = Generator[Tensor, Tensor | None, None]
"""Points after each step; the answer is a mask of the images that are left, or nothing."""
Direction = Callable[[Tensor, str], Tensor]
"""What is added to the images, times the step, from a gradient (which may be overwritten) and a norm."""


def ascend(
    classifier: Classifier,
    images: Tensor,
    start: Tensor,
    goal: Goal,
    budget: Budget,
    step_size: float,
    steps: int,
    loss: Callable[[Goal], Loss] = lambda goal: goal.loss,
    draws: int = 1,
    direction_of: Direction = steepest,
) -> Steps:
    """Projected steepest ascent of a loss from `start`; yields the point after each step (overwritten by the next).

    Args:
        classifier: gives the gradients.
        images: clean images (n, c, h, w), centres of the balls.
        start: where to begin, inside the balls.
        goal: what to achieve.
        budget: norm, radius, box.
        step_size: length of a step in the budget's norm, pixels in [0, 1]; with another direction, its factor.
        steps: number of steps.
        loss: the per-image loss of logits that is ascended for a goal.
        draws: of a random model, over how many draws each gradient is averaged.
        direction_of: the direction of a step, by default that of steepest ascent in the budget's norm.
    """
    point = start.clone()
    # The corners of an linf ball are the same in every step.
    centres: tuple[Tensor, ...] = corners(images, budget) if budget.norm == "linf" else (images,)
    for _ in range(steps):
        direction = direction_of(classifier.gradient(point, loss(goal), draws=draws).gradient, budget.norm)
        centres = tuple(laid_out_as(c, direction) for c in centres)
        point = laid_out_as(point, direction).add_(direction, alpha=step_size)
        point = point.clamp_(*centres) if budget.norm == "linf" else project(point, centres[0], budget)
        keep = yield point
        if keep is not None:
            point, goal, centres = point[keep], goal[keep], tuple(c[keep] for c in centres)


@dataclass(frozen=True)
class FGSM(Attack):
    """Fast gradient sign method: one step of length eps along the sign of the gradient.

    Goodfellow, Shlens, Szegedy, "Explaining and harnessing adversarial examples", ICLR 2015. For l2, the step follows
    the normalised gradient (fast gradient method).

    Attributes:
        draws: number of draws over which gradients of a random model are averaged (expectation over transformation).
    """

    name: ClassVar[str] = "fgsm"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (GOODFELLOW,)
    threat: ClassVar[ThreatModel] = ThreatModel(norms=NORMS)
    draws: Count = 1

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        eps = radius(budget)
        return next(ascend(classifier, images, images, goal, budget, eps, 1, draws=self.draws))


@dataclass(frozen=True)
class BIM(IterativeAttack):
    """Basic iterative method: FGSM in small steps from the clean image, kept inside the ball.

    Kurakin, Goodfellow, Bengio, "Adversarial examples in the physical world", 2017. The defaults are those of ma2020
    (section 4.1): 40 steps of eps/40, with which the ball is never left.

    Attributes:
        steps: number of steps (cumulative).
        step_size: length of a step in the budget's norm.
        draws: number of draws over which gradients of a random model are averaged (expectation over transformation).
    """

    name: ClassVar[str] = "bim"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (KURAKIN,)
    threat: ClassVar[ThreatModel] = ThreatModel(norms=NORMS)
    steps: Count = cumulative(40)
    step_size: Length = Length.parse("eps/40")
    draws: Count = 1

    def iterates(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Steps:
        step = self.step_size.resolve(eps=radius(budget))
        return ascend(classifier, images, images, goal, budget, step, self.steps, draws=self.draws)


@dataclass(frozen=True)
class PGD(IterativeAttack):
    """Projected gradient descent on the negative loss, from a random point of the ball.

    Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR 2018. The defaults are those of
    ma2020 (section 4.1): 20 steps of eps/10.

    Attributes:
        steps: number of steps (cumulative).
        step_size: length of a step in the budget's norm.
        random_start: begin at a uniformly drawn point of the ball, else at the clean image.
        draws: number of draws over which gradients of a random model are averaged (expectation over transformation).
    """

    name: ClassVar[str] = "pgd"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (MADRY,)
    threat: ClassVar[ThreatModel] = ThreatModel(norms=NORMS)
    steps: Count = cumulative(20)
    step_size: Length = Length.parse("eps/10")
    random_start: bool = True
    draws: Count = 1

    def iterates(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Steps:
        start = random_point(images, budget, rng) if self.random_start else images
        step = self.step_size.resolve(eps=radius(budget))
        return ascend(classifier, images, start, goal, budget, step, self.steps, draws=self.draws)
