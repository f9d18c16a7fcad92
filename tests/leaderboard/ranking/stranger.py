"""A stranger's plugin file: an attack, and a defense that hides its weakness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from medrobust import Attack, Budget, Classifier, Goal, Preprocessing, SampleRNG, ThreatModel


@dataclass(frozen=True)
class Slide(Attack):
    """Follows the gradient of the margin for a few signed steps, and keeps the last."""

    name: ClassVar[str] = "slide"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
    steps: int = 6

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        assert budget.eps is not None
        point = images
        for _ in range(self.steps):
            moved = point + budget.eps / 3 * classifier.gradient(point, goal.loss).gradient.sign()
            point = moved.clamp(images - budget.eps, images + budget.eps).clamp(0, 1)
        return point


class _Loud(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.module(images) * 1e4
        return logits


@dataclass(frozen=True)
class Veil(Preprocessing):
    """Logits so large that the softmax saturates and its gradient is zero: robust at first sight."""

    name: ClassVar[str] = "veil"

    def wrap(self, module: nn.Module) -> nn.Module:
        return _Loud(module)
