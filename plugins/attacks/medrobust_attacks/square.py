"""Square attack: random search over squares, by the logits alone."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from medrobust import (
    Budget,
    Classifier,
    Count,
    Goal,
    IterativeAttack,
    Reference,
    SampleRNG,
    ThreatModel,
    Untargeted,
    cumulative,
)

from .geometry import NORMS, corners
from .gradient import Steps
from .margin import margin_loss
from .references import SQUARE
from .square_windows import moved, places_of, tiled, window_side

_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Queries, out of 10,000, after which the share of changed pixels halves (section 5 of the paper)."""


@dataclass(frozen=True)
class Square(IterativeAttack):
    """Square attack: random squares of an image change, and stay if that helps.

    Andriushchenko, Croce, Flammarion, Hein, "Square attack: a query-efficient black-box adversarial attack via random
    search", ECCV 2020. For linf (algorithms 1 and 2), it begins with vertical stripes of +-eps, and a square moves to a
    corner of the ball. For l2 (algorithms 1 and 3), it begins with a grid of hills, and a square gains what another
    loses. A query draws places, and a sign per channel, for each image of its own. The objective is the margin between
    the true class and the best other one; for targeted goals and several labels it is the goal's cross-entropy.

    Images that are broken continue to larger margins; with `stop = "success"` they leave, as in the paper.

    Attributes:
        queries: forward passes per image (cumulative), the first of which sees the stripes.
        start_share: share of an image's pixels in the first squares, in (0, 1].
        schedule: queries over which squares shrink, down to 1/512 of the first; the paper's schedule is for 10,000, of
            which AutoAttack runs the first 5,000. It does not depend on `queries`, so that a run of fewer is a prefix.
    """

    name: ClassVar[str] = "square"
    revision: ClassVar[int] = 2
    references: ClassVar[tuple[Reference, ...]] = (SQUARE,)
    threat: ClassVar[ThreatModel] = ThreatModel(norms=NORMS, knowledge="score-based")
    sees_result: ClassVar[bool] = True
    queries: Count = cumulative(5000)
    start_share: Annotated[float, Field(gt=0, le=1)] = 0.8
    schedule: Count = 5000

    def iterates(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Steps:
        channels, height, width = images.shape[1:]
        if budget.norm == "linf":
            low, high = corners(images, budget)
            best = torch.where(rng.uniform((channels, 1, width)) < 0.5, high, low)
        else:
            low = high = images
            best = tiled(images, budget, rng)
        value = _objective(goal, classifier.logits(best))
        keep = yield best
        for query in range(1, self.queries):
            if keep is not None:
                best, low, high, value = best[keep], low[keep], high[keep], value[keep]
                goal, rng = goal[keep], rng[keep]
            side = self.side(query, height, width)
            if budget.norm == "linf":
                tried = _to_corner(best, low, high, side, rng)
            else:
                tried = moved(best, low, window_side(side, height, width), budget, rng)
            reached = _objective(goal, classifier.logits(tried))
            better = reached > value
            best[better] = tried[better]
            value = torch.where(better, reached, value)
            keep = yield best

    def side(self, query: int, height: int, width: int) -> int:
        """Side of the square of a query (counted from 1), in pixels."""
        halvings = bisect.bisect_left(_HALVINGS, query * 10_000 // self.schedule)
        pixels = self.start_share * height * width * 0.5**halvings
        return min(max(round(math.sqrt(pixels)), 1), height, width)


def _to_corner(best: Tensor, low: Tensor, high: Tensor, side: int, rng: SampleRNG) -> Tensor:
    """The best images so far, each with one square moved to a corner of the ball."""
    channels, height, width = best.shape[1:]
    drawn = rng.uniform((2 + channels, 1))
    places = places_of(drawn[:, :2], side, height, width, channels)
    corner = torch.where(drawn[:, 2:] < 0.5, high.flatten(2).gather(2, places), low.flatten(2).gather(2, places))
    return best.flatten(2).scatter(2, places, corner).view_as(best)


def _objective(goal: Goal, logits: Tensor) -> Tensor:
    """What is ascended, per image (n,)."""
    if isinstance(goal, Untargeted) and goal.labels.ndim == 1:
        return margin_loss(goal, torch.inf)(logits)
    return goal.loss(logits)
