"""An attack that changes low frequencies only."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from medrobust import (
    Budget,
    Classifier,
    Count,
    Goal,
    IterativeAttack,
    Length,
    Reference,
    SampleRNG,
    Share,
    ThreatModel,
    cumulative,
)

from .dct import low_pass

SHARMA = Reference(
    ("Y. Sharma", "G. W. Ding", "M. A. Brubaker"),
    "On the effectiveness of low frequency perturbations",
    "International Joint Conference on Artificial Intelligence (IJCAI)",
    2019,
)


@dataclass(frozen=True)
class LowFrequencyPGD(IterativeAttack):
    """PGD whose perturbation has the lowest frequencies alone (Sharma et al., IJCAI 2019).

    Steps go along the sign of the coarse part of the gradient, and what is added to the images is the coarse part of
    all steps together. Smooth changes survive filters and resizing, and look like uneven light.

    Attributes:
        share: frequencies of each axis that may change, from the lowest; 1 is PGD without a random start.
        steps: number of steps (cumulative).
        step_size: length of a step.
    """

    name: ClassVar[str] = "low-frequency-pgd"
    references: ClassVar[tuple[Reference, ...]] = (SHARMA,)
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
    share: Share = 0.25
    steps: Count = cumulative(10)
    step_size: Length = Length.parse("eps/4")

    def iterates(
        self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG
    ) -> Generator[Tensor, Tensor | None, None]:
        assert budget.eps is not None  # the threat model admits no budget without a radius
        step = self.step_size.resolve(eps=budget.eps)
        walked = images - images
        point = images.clone()
        for _ in range(self.steps):
            gradient = classifier.gradient(point, goal.loss).gradient
            walked = (walked + step * low_pass(gradient, self.share).sign()).clamp(-budget.eps, budget.eps)
            # The coarse part of something within the radius may leave it by a little, near an edge.
            point = images + low_pass(walked, self.share).clamp(-budget.eps, budget.eps)
            if budget.box is not None:
                point = point.clamp(*budget.box)
            remaining = yield point
            if remaining is not None:
                point, images, walked = point[remaining], images[remaining], walked[remaining]
                goal, rng = goal[remaining], rng[remaining]
