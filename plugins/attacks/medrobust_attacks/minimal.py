"""What attacks that look for the smallest perturbation share: what counts as broken, and the closest such image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from medrobust import Budget, Goal

from .margin import distance

_ROUNDING = 1e-4
"""Share of the largest logit by which a goal must be passed."""
_CLOSER = 1 - 1e-6


def clearance(logits: Tensor) -> Tensor:
    """By how many logits a goal must be passed for it to be more than rounding, (n,).

    Searches for the smallest perturbation end at the boundary, and another network gives the verdict than the prepared
    one that they pass through: what is broken by the last digits alone would be lost there.
    """
    return logits.abs().amax(dim=1).mul_(_ROUNDING)


def clearly_reached(goal: Goal, logits: Tensor, confidence: float = 0.0) -> Tensor:
    """Whether each image reaches the goal by more than rounding, and by `confidence` logits, boolean (n,)."""
    return distance(goal, logits) <= -clearance(logits).clamp_min_(confidence)


@dataclass
class Closest:
    """The closest image found so far that reaches the goal and lies within the radius, if there is one; else the clean.

    Attributes:
        images: (n, c, h, w), at first the clean ones.
        reach: how far others may be to be closer, (n,); at first the radius, then less than their own length by more
            than rounding, so that of two at the same distance the first stays.
    """

    images: Tensor
    reach: Tensor

    @classmethod
    def begin(cls, images: Tensor, budget: Budget) -> Closest:
        radius = torch.inf if budget.eps is None else budget.eps
        return cls(images.clone(), images.new_full((len(images),), radius))

    def learn(self, points: Tensor, length: Tensor, broken: Tensor, places: Tensor | None = None) -> None:
        """Take in points (k, c, h, w), how far they are (k,) and whether they reach the goal (k,).

        `places` (k,) says which images they are; without it, they are all of them in order.
        """
        better = (broken & (length <= (self.reach if places is None else self.reach[places]))).nonzero().squeeze(1)
        if not len(better):
            return
        chosen = better if places is None else places[better]
        self.images[chosen], self.reach[chosen] = points[better], length[better] * _CLOSER

    def __getitem__(self, keep: Tensor) -> Closest:
        return Closest(self.images[keep], self.reach[keep])
