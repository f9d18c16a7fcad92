"""An attack on a model and the detector in front of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from medrobust import (
    Budget,
    Classifier,
    Count,
    Detection,
    DetectorAttack,
    Goal,
    Length,
    NonNegative,
    Passes,
    Reference,
    SampleRNG,
    ThreatModel,
)

from .geometry import NORMS, laid_out_as, project, radius, steepest
from .references import BRYNIARSKI, CARLINI_DETECTION, TRAMER


@dataclass(frozen=True)
class Adaptive(DetectorAttack):
    """Projected steps that lead to the goal and, with a penalty, away from what the detector finds suspicious.

    As the evaluations of detectors recommend (Carlini and Wagner, AISec 2017; Tramer et al., NeurIPS 2020): the
    detector is known, its score is part of the objective where it can be differentiated, and else features are made
    like those of clean images of the class that the image is driven to. While an image has not reached the goal, the
    detector's part counts by the penalty; once it has, it alone counts (Bryniarski et al., ICLR 2022). Of all points of
    all penalties that reach the goal, each image is left at the one that its detector finds least suspicious.

    Attributes:
        steps: number of steps for each penalty.
        step_size: length of a step in the budget's norm.
        penalties: weights of the detector's part until the goal is reached; each is a run of its own.
    """

    name: ClassVar[str] = "adaptive"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (CARLINI_DETECTION, TRAMER, BRYNIARSKI)
    threat: ClassVar[ThreatModel] = ThreatModel(norms=NORMS, tasks={"multiclass"})
    steps: Count = 40
    step_size: Length = Length.parse("eps/10")
    penalties: tuple[NonNegative, ...] = (0.0, 0.01, 0.1, 1.0, 10.0)

    def cost(self, images: int, classes: int) -> Passes:
        runs = float(images) * len(self.penalties)
        return Passes(forward=runs, gradient=runs * (self.steps + 1))

    def evade(
        self,
        classifier: Classifier,
        detection: Detection,
        images: Tensor,
        goal: Goal,
        budget: Budget,
        rng: SampleRNG,
    ) -> Tensor:
        best = images.clone()
        reached = torch.zeros(len(images), dtype=torch.bool, device=images.device)
        score = torch.full((len(images),), torch.inf, device=images.device)
        for penalty in self.penalties:
            found, success = self._run(penalty, classifier, detection, images, goal, budget)
            value = detection.score(found)
            # What reaches the goal is better than what does not, however inconspicuous that is.
            better = torch.where(success == reached, value < score, success)
            best[better], reached[better], score[better] = found[better], success[better], value[better]
        return best

    def _run(
        self,
        penalty: float,
        classifier: Classifier,
        detection: Detection,
        images: Tensor,
        goal: Goal,
        budget: Budget,
    ) -> tuple[Tensor, Tensor]:
        """The points of one penalty: of each image the least suspicious that reaches the goal, else the last; and
        which have reached it (n,)."""
        step = self.step_size.resolve(eps=radius(budget))
        point, best = images.clone(), images.clone()
        least = torch.full((len(images),), torch.inf, device=images.device)
        seen: dict[str, Tensor] = {}

        def objective(logits: Tensor, features: Tensor) -> Tensor:
            suspicion = detection.loss(features, logits)
            there = goal.reached(logits)
            seen["suspicion"], seen["there"] = suspicion.detach(), there
            return torch.where(there, -suspicion, goal.loss(logits) - penalty * suspicion)

        for number in range(self.steps + 1):
            gradient = classifier.layer_gradient(point, objective, detection.layer).gradient
            better = seen["there"] & (seen["suspicion"] < least)
            best[better], least[better] = point[better], seen["suspicion"][better].to(least.dtype)
            if number < self.steps:
                direction = steepest(gradient, budget.norm)
                point = project(laid_out_as(point, direction).add_(direction, alpha=step), images, budget)
        success = torch.isfinite(least)
        best[~success] = point[~success]
        return best, success
