"""Carlini and Wagner's l2 attack: the smallest perturbation whose margin is large enough, by Adam."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import ClassVar

import torch
from torch import Tensor

from medrobust import (
    Attack,
    Budget,
    Classifier,
    Count,
    Goal,
    Loss,
    NonNegative,
    Passes,
    Positive,
    Reference,
    SampleRNG,
    ThreatModel,
)

from .geometry import laid_out_as, lengths
from .margin import distance
from .minimal import Closest, clearly_reached
from .references import CARLINI

_INSIDE = 0.999999
"""Share of the way to the box's border that a pixel on it begins at: the border itself is at infinity."""
_DECAY = (0.9, 0.999)
_EPSILON = 1e-8
_CHECKS = 10
_SWING = 10
"""Steps for which Adam may carry an objective beyond its lowest value before it falls again."""
_PROGRESS = 0.9999


@dataclass(frozen=True)
class CWL2(Attack):
    """Carlini and Wagner's l2 attack: Adam on the squared length plus a weight times the margin, the weight searched.

    Carlini, Wagner, "Towards evaluating the robustness of neural networks", IEEE S&P 2017, sections V and VI.A. Pixels
    are a hyperbolic tangent of what is optimised, so that they stay in the box. After a search, the weight of an image
    is multiplied by 10 until the image has been broken once, and halves the interval between failure and success from
    then on. For `min` it yields the closest image found that is broken, for a radius the closest within it; where there
    is none, the clean image.

    Attributes:
        searches: values of the weight tried.
        steps: steps of Adam for each, with a gradient each.
        learning_rate: of Adam.
        first_weight: of the margin.
        confidence: logits by which the goal must be passed.
        abort: let an image end a search when its lowest objective fell by less than 0.01 % within a tenth of the steps;
            in the authors' code, a batch ends as a whole.
    """

    name: ClassVar[str] = "cw-l2"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (CARLINI,)
    threat: ClassVar[ThreatModel] = ThreatModel(norms=frozenset({"l2"}), minimal=True)
    searches: Count = 9
    steps: Count = 1000
    learning_rate: Positive = 0.01
    first_weight: Positive = 1e-3
    confidence: NonNegative = 0.0
    abort: bool = True

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        best = Closest.begin(images, budget)
        weight = images.new_full((len(images),), self.first_weight)
        low, high = torch.zeros_like(weight), torch.full_like(weight, torch.inf)
        for _ in range(self.searches):
            broken = self._search(classifier, images, goal, budget, weight, best)
            low, high = torch.where(broken, low, weight), torch.where(broken, weight, high)
            weight = torch.where(high.isinf(), weight * 10, (low + high) / 2)
        return best.images

    def cost(self, images: int, classes: int) -> Passes:
        return Passes(gradient=float(images) * self.searches * self.steps)

    def _search(
        self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, weight: Tensor, best: Closest
    ) -> Tensor:
        """Adam with one weight per image; tells `best` of what it finds and gives which images were broken (n,)."""
        play = _Play.begin(images, budget, weight)
        ever = torch.zeros_like(weight, dtype=torch.bool)
        window = max(math.ceil(self.steps / _CHECKS), _SWING)
        for number in range(self.steps):
            point, slope = play.pixels(budget)
            aims = goal if len(play.places) == len(goal) else goal[play.places]
            gradient, loss, logits = classifier.gradient(point, _weighed(aims, play.weight, self.confidence))
            play = play.laid_out_as(gradient)
            offset = laid_out_as(point, gradient) - play.images
            length = lengths(offset, "l2")
            broken = clearly_reached(aims, logits, self.confidence)
            ever[play.places] |= broken
            best.learn(point, length, broken, play.places)
            play.step(
                offset.sub_(gradient, alpha=0.5).mul_(laid_out_as(slope, gradient)), number + 1, self.learning_rate
            )
            play.lowest = torch.minimum(play.lowest, length.square() - loss)
            if self.abort and number % window == 0:
                play = play.onward()
                if not len(play.places):
                    break
        return ever


def _weighed(goal: Goal, weight: Tensor, confidence: float) -> Loss:
    """What the network adds to the objective, with its sign turned: it is ascended."""
    return lambda logits: -weight * (distance(goal, logits) + confidence).clamp_min(0)


@dataclass
class _Play:
    """The images of a search that goes on; the first dimension of every tensor is theirs."""

    places: Tensor
    """Among all images, (n,)."""
    images: Tensor
    weight: Tensor
    free: Tensor
    """What is optimised: pixels before the hyperbolic tangent, or without a box the perturbation."""
    mean: Tensor
    """Of gradients (first moment of Adam)."""
    square: Tensor
    """Of gradients (second moment of Adam)."""
    lowest: Tensor
    """The lowest objective, (n,)."""
    checked: Tensor
    """What it was when it was last looked at, (n,)."""

    @classmethod
    def begin(cls, images: Tensor, budget: Budget, weight: Tensor) -> _Play:
        free = torch.zeros_like(images)
        if budget.box is not None:
            middle, half = _middle_and_half(budget.box)
            free = ((images - middle) * (_INSIDE / half)).atanh_()
        places = torch.arange(len(images), device=images.device)
        zeros, endless = torch.zeros_like(images), torch.full_like(weight, torch.inf)
        return cls(places, images, weight, free, zeros, zeros.clone(), endless, endless)

    def __getitem__(self, keep: Tensor) -> _Play:
        return _Play(*(getattr(self, each.name)[keep] for each in fields(self)))

    def laid_out_as(self, like: Tensor) -> _Play:
        """Itself, with images in the memory layout of gradients."""
        for name in ("images", "free", "mean", "square"):
            setattr(self, name, laid_out_as(getattr(self, name), like))
        return self

    def pixels(self, budget: Budget) -> tuple[Tensor, Tensor]:
        """The points (n, c, h, w), and twice by how much they move with what is optimised (same shape)."""
        if budget.box is None:
            return self.images + self.free, torch.full_like(self.free, 2.0)
        middle, half = _middle_and_half(budget.box)
        bent = self.free.tanh()
        # Scalars as tensors: one pass over the images for each of the two.
        slope = torch.addcmul(bent.new_tensor(2 * half), bent, bent, value=-2 * half)
        return torch.add(bent.new_tensor(middle), bent, alpha=half), slope

    def step(self, gradient: Tensor, number: int, rate: float) -> None:
        """A step of Adam down a gradient, with its corrections for moments that began at zero."""
        first, second = _DECAY
        right = math.sqrt(1 - second**number)
        self.mean.lerp_(gradient, 1 - first)
        self.square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        below = self.square.sqrt().add_(_EPSILON * right)
        self.free.addcdiv_(self.mean, below, value=-rate * right / (1 - first**number))

    def onward(self) -> _Play:
        """Those whose objective still falls."""
        stay = self.lowest <= _PROGRESS * self.checked
        self.checked = self.lowest
        return self if bool(stay.all()) else self[stay]


def _middle_and_half(box: tuple[float, float]) -> tuple[float, float]:
    return (box[0] + box[1]) / 2, (box[1] - box[0]) / 2
