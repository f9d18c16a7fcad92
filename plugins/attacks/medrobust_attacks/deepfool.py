"""DeepFool: steps to the nearest of the boundaries that the network would have if it were linear."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

import torch
from torch import Tensor

from medrobust import (
    Budget,
    Classifier,
    Count,
    Goal,
    IterativeAttack,
    Loss,
    NonNegative,
    Passes,
    Reference,
    SampleRNG,
    ThreatModel,
    cumulative,
)

from .geometry import DUAL, NORMS, laid_out_as, lengths, per_image, project, steepest
from .gradient import Steps
from .margin import leads
from .minimal import clearly_reached
from .references import DEEPFOOL

_AWAY = 1e-4
"""Added to the length of each step, so that one whose boundary is all but reached still crosses it."""
_TINY = 1e-8


@dataclass(frozen=True)
class DeepFool(IterativeAttack):
    """DeepFool: step by step over the nearest boundary of the linearised network, until the decision changes.

    Moosavi-Dezfooli, Fawzi, Frossard, "DeepFool: a simple and accurate method to fool deep neural networks", CVPR 2016,
    algorithm 2, and section 3.3 for linf. As in the authors' code, the sum of the steps is lengthened by `overshoot`
    before the decision is looked at. An image that is broken is left alone and costs no further pass. For a radius,
    what lies beyond is put back into the ball.

    Of several labels, it is the boundary of the label whose decision is nearest to change.

    Attributes:
        steps: steps at most, each with a gradient for each boundary (cumulative).
        overshoot: share by which the sum of the steps is lengthened.
        candidates: number of boundaries looked at, those with the largest clean logits on their other side.
    """

    name: ClassVar[str] = "deepfool"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (DEEPFOOL,)
    threat: ClassVar[ThreatModel] = ThreatModel(norms=NORMS, goals=frozenset({"untargeted"}), minimal=True)
    sees_result: ClassVar[bool] = True
    steps: Count = cumulative(50)
    overshoot: NonNegative = 0.02
    candidates: Count = 9

    def iterates(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Steps:
        logits = classifier.logits(images)
        ahead = leads(goal, logits)
        sides = ahead.topk(min(self.candidates, int(torch.isfinite(ahead[0]).sum())), dim=1).indices
        play = _Play(torch.arange(len(images), device=images.device), images, images, torch.zeros_like(images), sides)
        play, points = play[~clearly_reached(goal, logits)], images
        for _ in range(self.steps):
            if len(play.places):
                play = self._step(classifier, play, goal[play.places], budget)
                points = points.index_copy(0, play.places, play.point)
                # Most images are broken after one step or two: a pass forward spares them their gradients.
                play = play[~clearly_reached(goal[play.places], classifier.logits(play.point))]
            keep = yield points if budget.eps is None else project(points.clone(), images, budget)
            if keep is not None:
                images, points, goal, play = images[keep], points[keep], goal[keep], play.of(keep)

    def cost(self, images: int, classes: int) -> Passes:
        """As many as two steps take, more than which few images need; a second boundary costs half a gradient."""
        boundaries = min(self.candidates, max(classes - 1, 1))
        return Passes(forward=3.0 * images, gradient=1.0 * images * (boundaries + 1))

    def _step(self, classifier: Classifier, play: _Play, goal: Goal, budget: Budget) -> _Play:
        """A step of each image over the nearest of its boundaries."""
        found = classifier.gradients(play.point, [_lead(goal, side) for side in play.sides.unbind(dim=1)])
        slopes = torch.stack([lengths(each.gradient, DUAL[budget.norm]) for each in found]) + _TINY
        away = torch.stack([each.loss for each in found]).abs_() / slopes
        way, nearest = away.min(dim=0)
        gradient = found[0].gradient
        for number, other in enumerate(found[1:], start=1):
            gradient = torch.where(per_image(nearest == number), other.gradient, gradient)
        total = laid_out_as(play.total, gradient).addcmul(steepest(gradient, budget.norm), per_image(way + _AWAY))
        point = torch.add(laid_out_as(play.images, gradient), total, alpha=1 + self.overshoot)
        if budget.box is not None:
            point.clamp_(*budget.box)
        return _Play(play.places, play.images, point, total, play.sides)


def _lead(goal: Goal, side: Tensor) -> Loss:
    """By how much the other side of one boundary leads, for each image (n,)."""
    return lambda logits: leads(goal, logits).gather(1, side[:, None]).squeeze(1)


@dataclass
class _Play:
    """The images that are not broken yet; the first dimension of every tensor is theirs."""

    places: Tensor
    """Among all images, (n,)."""
    images: Tensor
    point: Tensor
    total: Tensor
    """Sum of the steps, without overshoot."""
    sides: Tensor
    """What lies behind each boundary looked at: classes or labels, (n, boundaries)."""

    def __getitem__(self, keep: Tensor) -> _Play:
        return _Play(*(getattr(self, each.name)[keep] for each in fields(self)))

    def of(self, keep: Tensor) -> _Play:
        """After images have left, of all that there were."""
        rest = self[keep[self.places]]
        rest.places = keep.cumsum(0).sub_(1)[rest.places]
        return rest
