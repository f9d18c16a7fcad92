"""Universal perturbations by stochastic gradient ascent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Literal

import torch
from torch import Tensor

from medrobust import (
    Budget,
    Classifier,
    Count,
    Goal,
    IterativeUniversalAttack,
    Length,
    Loss,
    Positive,
    Reference,
    SampleRNG,
    ThreatModel,
    cumulative,
)

from .geometry import NORMS, radius, steepest
from .references import SHAFAHI
from .universal_crafting import Crafting, image_orders, own_goal, shrink

_BETAS = (0.9, 0.999)


class Adam:
    """Directions of Adam (Kingma & Ba, 2015), about as long as a unit step in the budget's norm."""

    def __init__(self, like: Tensor, norm: str) -> None:
        self._first, self._second = torch.zeros_like(like), torch.zeros_like(like)
        self._scale = 1.0 if norm == "linf" else like.numel() ** -0.5
        self._count = 0

    def direction(self, gradient: Tensor) -> Tensor:
        """The direction of ascent after one more gradient."""
        self._count += 1
        # Input gradients of a sure model are far smaller than Adam's usual constant of 1e-8; only ratios matter here.
        gradient = gradient.double()
        self._first = self._first.double().lerp_(gradient, 1 - _BETAS[0])
        self._second = self._second.double().lerp_(gradient.square(), 1 - _BETAS[1])
        first, second = (m / (1 - b**self._count) for m, b in zip((self._first, self._second), _BETAS, strict=True))
        return (first / second.sqrt().clamp_(min=1e-30)).mul_(self._scale).float()


@dataclass(frozen=True)
class StochasticUAP(IterativeUniversalAttack):
    """Universal perturbation by projected stochastic gradient ascent of the mean loss, clipped per image.

    Shafahi et al., "Universal adversarial training", AAAI 2020, section 3. The clip keeps images that are fooled
    from dominating the mean. Untargeted, the loss is that of the model's own predictions, not of the true labels;
    targeted, the cross-entropy of the target is descended, which needs no clip.

    Attributes:
        epochs: passes over the crafting images, in a fresh random order each (cumulative).
        batch: images per step.
        step_size: length of a step in the budget's norm.
        clip: largest loss that counts, in nats.
        optimizer: `sgd` steps along the sign (linf) or the normalised mean gradient (l2), `adam` along Adam's
            direction.
    """

    name: ClassVar[str] = "sgd-uap"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (SHAFAHI,)
    threat: ClassVar[ThreatModel] = ThreatModel(norms=NORMS)
    epochs: Count = cumulative(10)
    batch: Count = 64
    step_size: Length = Length.parse("eps/20")
    clip: Positive = 9.0
    optimizer: Literal["sgd", "adam"] = "sgd"

    def iterates(
        self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG
    ) -> Iterator[Tensor]:
        step = self.step_size.resolve(eps=radius(budget))
        crafting = Crafting(classifier, images, own_goal(classifier, images, goal), budget, step)
        perturbation = crafting.zero()
        adam = Adam(perturbation, budget.norm) if self.optimizer == "adam" else None
        for order in islice(image_orders(rng, len(images), images.device), self.epochs):
            for block in order.split(self.batch):
                loss = _clipped(crafting.goal[block], self.clip)
                shown = crafting.shown(images[block] + perturbation)
                gradient = classifier.gradient(shown, loss).gradient.mean(dim=0)
                direction = adam.direction(gradient) if adam else steepest(gradient[None], budget.norm)[0]
                perturbation = shrink(perturbation.add_(direction, alpha=step), budget)
            yield perturbation


def _clipped(goal: Goal, clip: float) -> Loss:
    return lambda logits: goal.loss(logits).clamp(max=clip)
