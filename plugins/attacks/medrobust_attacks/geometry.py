"""Steps, projections and random points in the norm balls of a budget."""

from __future__ import annotations

import torch
from torch import Tensor

from medrobust import Budget, Norm, SampleRNG

NORMS: frozenset[Norm] = frozenset({"linf", "l2"})
DUAL: dict[Norm, Norm] = {"linf": "l1", "l2": "l2"}
"""In which norm a gradient is measured to tell how fast a step of unit length can change the loss."""
_ORDERS: dict[Norm, float] = {"linf": torch.inf, "l2": 2, "l1": 1}
_TINY = 1e-12


def radius(budget: Budget) -> float:
    """The radius of a budget that has one; the grid excludes the others."""
    assert budget.eps is not None
    return budget.eps


def _flat_norm(tensor: Tensor) -> Tensor:
    """l2 norm per image, shape (n, 1, 1, 1)."""
    norm: Tensor = torch.linalg.vector_norm(tensor, dim=(1, 2, 3), keepdim=True)
    return norm


def lengths(steps: Tensor, norm: Norm) -> Tensor:
    """The length of each step (n, c, h, w) in a norm other than l0, (n,)."""
    found: Tensor = torch.linalg.vector_norm(steps, _ORDERS[norm], dim=(1, 2, 3))
    return found


def per_image(values: Tensor) -> Tensor:
    """Values (n,) as factors (n, 1, 1, 1) of images."""
    return values.view(-1, 1, 1, 1)


def steepest(gradient: Tensor, norm: str) -> Tensor:
    """Unit-norm direction of steepest ascent: the sign for linf, the normalised gradient for l2.

    An image whose gradient vanishes does not move. Works in place on `gradient`.
    """
    if norm == "linf":
        return gradient.sign_()
    return gradient.div_(_flat_norm(gradient).clamp_(min=_TINY))


def laid_out_as(tensor: Tensor, like: Tensor) -> Tensor:
    """`tensor` in the memory layout of `like`: arithmetic between two layouts takes several times as long."""
    return tensor if tensor.stride() == like.stride() else torch.empty_like(like).copy_(tensor)


def corners(images: Tensor, budget: Budget) -> tuple[Tensor, Tensor]:
    """The darkest and the brightest image within an linf ball and the box."""
    eps = radius(budget)
    low, high = images - eps, images + eps
    return (low, high) if budget.box is None else (low.clamp_(*budget.box), high.clamp_(*budget.box))


def project(adversarial: Tensor, images: Tensor, budget: Budget) -> Tensor:
    """The nearest point of the ball around `images`, then of the box; in place on `adversarial`."""
    if budget.norm == "linf":
        return adversarial.clamp_(*corners(images, budget))
    eps = radius(budget)
    adversarial.sub_(images)
    adversarial.mul_((eps / _flat_norm(adversarial).clamp_(min=_TINY)).clamp_(max=1.0)).add_(images)
    return adversarial if budget.box is None else adversarial.clamp_(*budget.box)


def random_point(images: Tensor, budget: Budget, rng: SampleRNG) -> Tensor:
    """A point drawn uniformly from the ball around each image, clipped to the box; shape of `images`."""
    eps, shape = radius(budget), images.shape[1:]
    if budget.norm == "linf":
        offset = rng.uniform(shape, -eps, eps)
    else:
        offset = rng.normal(shape)
        share = rng.uniform((1, 1, 1)).pow_(1.0 / images[0].numel())
        offset.mul_(eps * share / _flat_norm(offset))
    return project(offset.add_(images), images, budget)


def sphere_point(images: Tensor, budget: Budget, rng: SampleRNG) -> Tensor:
    """A point at the full radius: a random sign per pixel for linf, a random direction for l2; clipped to the box."""
    eps, shape = radius(budget), images.shape[1:]
    offset = rng.normal(shape)
    offset = offset.sign_().mul_(eps) if budget.norm == "linf" else offset.mul_(eps / _flat_norm(offset))
    return project(offset.add_(images), images, budget)
