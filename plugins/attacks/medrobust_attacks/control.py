"""Controls: perturbations that do not depend on the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from medrobust import Attack, Budget, Classifier, Goal, SampleRNG, ThreatModel

from .geometry import NORMS, random_point, sphere_point


@dataclass(frozen=True)
class Noise(Attack):
    """Random noise at the budget's radius: a control that every attack should beat.

    Attributes:
        distribution: `surface` (a random sign of eps per pixel for linf, a random direction of length eps for l2) or
            `uniform` in the ball.
    """

    name: ClassVar[str] = "noise"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms=NORMS, knowledge="none")
    distribution: Literal["surface", "uniform"] = "surface"

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        draw = sphere_point if self.distribution == "surface" else random_point
        return draw(images, budget, rng)
