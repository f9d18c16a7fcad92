"""FAB: steps to the decision boundary that stay close to the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from medrobust import (
    Budget,
    Classifier,
    Count,
    Goal,
    IterativeAttack,
    Norm,
    Reference,
    SampleRNG,
    ThreatModel,
    cumulative,
)

from .geometry import NORMS, laid_out_as, lengths, per_image
from .gradient import Steps
from .margin import lead, rival_classes
from .minimal import Closest
from .references import FAB_ATTACK

_BIAS = 0.1
"""Largest weight of the image's own projection in a step (alpha_max)."""
_OVERSHOOT = 1.05
"""How far beyond the boundary's linearisation a step goes (eta)."""
_BACK = 0.9
"""Share of the way from the image at which the search goes on after a success (beta)."""
_UNBOUNDED = 1e3
"""Stands for no limit on a pixel: far beyond what moves an image in [0, 1] across any boundary."""


@dataclass(frozen=True)
class FAB(IterativeAttack):
    """Fast adaptive boundary attack, targeted form: the smallest perturbation that crosses to one other class.

    Croce, Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack", ICML 2020, algorithm
    1, for one class at a time, as in AutoAttack; `rank` selects another one. Each step goes to the linearised boundary
    between the label and the class, and is drawn towards the projection of the image itself. For a
    radius, it yields the closest image found that is broken and within it, else the image; for `min`, the closest that
    is broken.

    Attributes:
        steps: steps, each with a gradient and a forward pass (cumulative).
        rank: the class with the r-th largest clean logit among those that are not the label.
    """

    name: ClassVar[str] = "fab-t"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (FAB_ATTACK,)
    threat: ClassVar[ThreatModel] = ThreatModel(
        norms=NORMS, goals=frozenset({"untargeted"}), tasks=frozenset({"multiclass"}), minimal=True
    )
    sees_result: ClassVar[bool] = True
    steps: Count = cumulative(100)
    rank: Count = 1

    def iterates(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Steps:
        rivals = rival_classes(classifier.logits(images), goal, self.rank)
        point, closest = images.clone(), Closest.begin(images, budget)
        for _ in range(self.steps):
            normal, ahead, _ = classifier.gradient(point, lead(goal, rivals))
            point, images = laid_out_as(point, normal), laid_out_as(images, normal)
            from_image = ((point - images) * normal).flatten(1).sum(dim=1) - ahead
            first = nearest_on_plane(point, normal, -ahead, budget.norm, budget.box)
            second = nearest_on_plane(images, normal, from_image, budget.norm, budget.box)
            apart = lengths(first, budget.norm), lengths(second, budget.norm)
            bias = (apart[0] / (apart[0] + apart[1]).clamp_min(1e-8)).clamp_max(_BIAS)
            point = (point + _OVERSHOOT * first).lerp(images + _OVERSHOOT * second, per_image(bias))
            if budget.box is not None:
                point.clamp_(*budget.box)
            broken = goal.reached(classifier.logits(point))
            closest.learn(point, lengths(point - images, budget.norm), broken)
            point[broken] = images[broken].lerp(point[broken], _BACK)
            keep = yield closest.images
            if keep is not None:
                images, point, closest = images[keep], point[keep], closest[keep]
                goal, rivals = goal[keep], rivals[keep]


def nearest_on_plane(
    points: Tensor, normal: Tensor, offset: Tensor, norm: Norm, box: tuple[float, float] | None
) -> Tensor:
    """The shortest steps that lead to a plane without leaving the box; shape of `points`.

    Every pixel moves along the sign of its normal, at the same pace for linf and in proportion to the normal for l2,
    until it meets the box. What is gained is piecewise linear in time, so the time follows from the sorted times at
    which pixels stop. Where the box holds no point of the plane, the step goes as far as the box allows.

    Args:
        points: (n, c, h, w), inside the box.
        normal: of each plane, shape of `points`.
        offset: normal * step that is asked for, (n,).
        norm: in which steps are shortest.
        box: lowest and highest pixel, or None.
    """
    low, high = box if box is not None else (-_UNBOUNDED, _UNBOUNDED)
    flat, asked = points.flatten(1), offset.abs()
    towards = normal.flatten(1) * offset.sign()[:, None]
    size = towards.abs()
    room = torch.where(towards > 0, high - flat, flat - low).clamp_min_(0)
    pace = torch.ones_like(size) if norm == "linf" else size
    stops = torch.where(size > 0, room / pace.clamp_min(torch.finfo(pace.dtype).tiny), 0.0)
    ordered, order = stops.sort(dim=1)
    speed = (size * pace).gather(1, order).double()
    gains = (size * room).gather(1, order).double()
    moving = speed.flip(1).cumsum(1).flip(1)
    fixed = gains.cumsum(1) - gains
    reached = fixed + moving * ordered
    last = (reached < asked[:, None]).sum(dim=1, keepdim=True).clamp_max_(flat.shape[1] - 1)
    left = asked[:, None] - fixed.gather(1, last)
    time = (left / moving.gather(1, last).clamp_min(torch.finfo(torch.float64).tiny)).to(pace.dtype)
    time = torch.minimum(time.clamp_min_(0), ordered.gather(1, last))
    return (towards.sign() * torch.minimum(time * pace, room)).view(points.shape)
