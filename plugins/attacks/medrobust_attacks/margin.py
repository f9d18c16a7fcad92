"""Attacks on the margin between logits: the linf form of Carlini and Wagner's objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from medrobust import Budget, Classifier, Draws, Goal, IterativeAttack, Length, Loss, Targeted, ThreatModel, cumulative

from .geometry import NORMS, radius
from .gradient import Steps, ascend


def margin_loss(goal: Goal, kappa: float, *, zero_own: bool = False) -> Loss:
    """Carlini and Wagner's margin, to be ascended: -max(z_y - max_(i != y) z_i, -kappa), per image.

    For a targeted goal the margin is that of the other classes over the target. With `zero_own`, the maximum over the
    others includes a 0 in the place of class y, as the code released with ma2020 computes it.
    """

    def loss(logits: Tensor) -> Tensor:
        own = logits.gather(1, goal.labels[:, None]).squeeze(1)
        mask = F.one_hot(goal.labels, logits.shape[1]).bool()
        others = logits.masked_fill(mask, 0.0 if zero_own else -torch.inf).amax(dim=1)
        margin = others - own if isinstance(goal, Targeted) else own - others
        return -margin.clamp(min=-kappa)

    return loss


@dataclass(frozen=True)
class CWLinf(IterativeAttack):
    """Projected gradient descent on Carlini and Wagner's margin max(z_y - max_(i != y) z_i, -kappa).

    Carlini, Wagner, "Towards evaluating the robustness of neural networks", 2017, in the linf form of ma2020 (section
    3.2): 20 steps of eps/10 from the clean image. ma2020 states no kappa; its released scripts pass 100, at which the
    hinge never saturates.

    Attributes:
        steps: number of steps (cumulative).
        step_size: length of a step in the budget's norm.
        kappa: margin beyond which an image is left alone, in logits.
        zero_own: let 0 stand for the own class among the others, as ma2020's code does; a fidelity switch.
    """

    name: ClassVar[str] = "cw-linf"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms=NORMS, tasks=frozenset({"multiclass"}))
    steps: int = cumulative(20)
    step_size: Length = Length.parse("eps/10")
    kappa: float = 100.0
    zero_own: bool = False

    def iterates(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, random: Draws) -> Steps:
        step = self.step_size.resolve(eps=radius(budget))

        def loss(goal: Goal) -> Loss:
            return margin_loss(goal, self.kappa, zero_own=self.zero_own)

        return ascend(classifier, images, images, goal, budget, step, self.steps, loss)
