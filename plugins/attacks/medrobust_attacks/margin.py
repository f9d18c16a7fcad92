"""The margin between logits: distances and losses made of it, and the linf form of Carlini and Wagner's attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from medrobust import (
    Budget,
    Classifier,
    Count,
    Goal,
    IterativeAttack,
    Length,
    Loss,
    NonNegative,
    PluginError,
    Reference,
    SampleRNG,
    Targeted,
    ThreatModel,
    cumulative,
)

from .geometry import NORMS, radius
from .gradient import Steps, ascend
from .references import CARLINI, MA

_TINY = 1e-12


def class_logits(logits: Tensor) -> Tensor:
    """Logits of classes (n, classes): a single output with a sigmoid is the logit of class 1 over a 0 for class 0."""
    return F.pad(logits, (1, 0)) if logits.shape[1] == 1 else logits


def distance(goal: Goal, logits: Tensor) -> Tensor:
    """How far each image is from the goal, in logits (n,): positive before it is reached, not positive after.

    Of several labels, the one whose decision is nearest to change counts where any will do, the farthest where all are
    asked for.
    """
    labels = goal.labels
    if labels.ndim == 1:
        logits = class_logits(logits)
        own = logits.gather(1, labels[:, None]).squeeze(1)
        others = logits.masked_fill(F.one_hot(labels, logits.shape[1]).bool(), -torch.inf).amax(dim=1)
        return others - own if isinstance(goal, Targeted) else own - others
    agreement = (2 * labels - 1) * logits
    return -agreement.amin(dim=1) if isinstance(goal, Targeted) else agreement.amin(dim=1)


def nearness(goal: Goal) -> Loss:
    """The distance from the goal with its sign turned, to be ascended."""
    return lambda logits: -distance(goal, logits)


def margin_loss(goal: Goal, kappa: float, *, zero_own: bool = False) -> Loss:
    """Carlini and Wagner's margin, to be ascended: -max(z_y - max_(i != y) z_i, -kappa), per image.

    For a targeted goal the margin is that of the other classes over the target. With `zero_own`, the maximum over the
    others includes a 0 in the place of class y, as the code released with ma2020 computes it.
    """

    def loss(logits: Tensor) -> Tensor:
        logits = class_logits(logits)
        own = logits.gather(1, goal.labels[:, None]).squeeze(1)
        mask = F.one_hot(goal.labels, logits.shape[1]).bool()
        others = logits.masked_fill(mask, 0.0 if zero_own else -torch.inf).amax(dim=1)
        margin = others - own if isinstance(goal, Targeted) else own - others
        return -margin.clamp(min=-kappa)

    return loss


def dlr_loss(goal: Goal, rivals: Tensor | None = None) -> Loss:
    """Difference of logits ratio, to be ascended, per image: the margin over the spread of the largest logits.

    Croce, Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks",
    ICML 2020, equations 6 and 7. It does not change with the scale of the logits. With two classes there is no third
    logit to compare with, and it is the margin alone; with three, the form with `rivals` takes the spread of the other.

    Args:
        goal: with class labels (n,); a targeted one asks for the margin of its class over the others.
        rivals: classes (n,) to move towards, away from the goal's labels; None takes the largest of the others.
    """
    gained = margin_loss(goal, torch.inf) if rivals is None else lead(goal, rivals)

    def loss(logits: Tensor) -> Tensor:
        logits = class_logits(logits)
        ordered = logits.sort(dim=1, descending=True).values
        if ordered.shape[1] < 3:
            return gained(logits)
        far = ordered[:, 2] if rivals is None else ordered[:, 2:4].mean(dim=1)
        return gained(logits) / (ordered[:, 0] - far + _TINY)

    return loss


def lead(goal: Goal, rivals: Tensor) -> Loss:
    """By how much classes (n,) lead over the goal's labels, in logits; the boundary between them is where it is 0."""
    places = torch.stack([rivals, goal.labels], dim=1)

    def loss(logits: Tensor) -> Tensor:
        picked = class_logits(logits).gather(1, places)
        return picked[:, 0] - picked[:, 1]

    return loss


def leads(goal: Goal, logits: Tensor) -> Tensor:
    """By how much each class leads over the label, in logits (n, classes), with -inf for the label itself.

    Of several labels: how far each decision is from changing, (n, labels); positive after it has.
    """
    if goal.labels.ndim == 2:
        return (1 - 2 * goal.labels) * logits
    logits, own = class_logits(logits), goal.labels[:, None]
    return (logits - logits.gather(1, own)).scatter(1, own, -torch.inf)


def rival_classes(logits: Tensor, goal: Goal, rank: int) -> Tensor:
    """The class with the `rank`-th largest logit among those that are not the label, per image (n,).

    Raises:
        PluginError: if there are too few classes, or the goal asks for a class of its own.
    """
    if isinstance(goal, Targeted):
        raise PluginError(f"rank = {rank} selects a class, but the goal is targeted already; leave rank out")
    logits = class_logits(logits)
    if rank >= logits.shape[1]:
        raise PluginError(f"rank = {rank} needs {rank + 1} classes or more, the model has {logits.shape[1]}")
    others = logits.scatter(1, goal.labels[:, None], -torch.inf)
    return others.argsort(dim=1, descending=True, stable=True)[:, rank - 1]


@dataclass(frozen=True)
class CWLinf(IterativeAttack):
    """Projected gradient descent on Carlini and Wagner's margin max(z_y - max_(i != y) z_i, -kappa).

    Carlini, Wagner, "Towards evaluating the robustness of neural networks", 2017, in the linf form of ma2020 (section
    4.1): 20 steps of eps/10 from the clean image. ma2020 states no kappa; its released scripts pass 100, at which the
    hinge never saturates.

    Attributes:
        steps: number of steps (cumulative).
        step_size: length of a step in the budget's norm.
        kappa: margin beyond which an image is not moved, in logits.
        zero_own: include a 0 for the own class among the others, as ma2020's code does.
        draws: number of draws over which gradients of a random model are averaged (expectation over transformation).
    """

    name: ClassVar[str] = "cw-linf"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (CARLINI, MA)
    threat: ClassVar[ThreatModel] = ThreatModel(norms=NORMS, tasks=frozenset({"multiclass"}))
    steps: Count = cumulative(20)
    step_size: Length = Length.parse("eps/10")
    kappa: NonNegative = 100.0
    zero_own: bool = False
    draws: Count = 1

    def iterates(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Steps:
        step = self.step_size.resolve(eps=radius(budget))

        def loss(goal: Goal) -> Loss:
            return margin_loss(goal, self.kappa, zero_own=self.zero_own)

        return ascend(classifier, images, images, goal, budget, step, self.steps, loss, self.draws)
