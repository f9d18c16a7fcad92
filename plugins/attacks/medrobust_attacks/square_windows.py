"""The l2 form of the Square attack: windows of a perturbation that gain what others lose."""

from __future__ import annotations

import torch
from torch import Tensor

from medrobust import Budget, SampleRNG

from .geometry import lengths, per_image, radius

_SMALLEST = 3
_TINY = 1e-12


def pyramid(height: int, width: int) -> Tensor:
    """A hill (height, width) of unit l2 length that falls from its centre in square steps.

    At a distance d from the centre, along the farther of the two axes, it is the sum of 1 / (k + 1)^2 over k from d to
    the half of the longer side (equation 3 of the paper).
    """
    rows, columns = (torch.arange(side).sub(side // 2).abs() for side in (height, width))
    away = torch.maximum(rows[:, None], columns[None])
    steps = torch.arange(1, max(height, width) // 2 + 2, dtype=torch.float32).pow(-2)
    values = steps.flip(0).cumsum(0).flip(0)[away]
    return values.div_(values.norm())


def two_hills(side: int) -> Tensor:
    """A hill above a hollow, (side, side), of unit l2 length."""
    if side < 2:
        return torch.ones(side, side)
    halves = torch.cat([pyramid(side // 2, side), -pyramid(side - side // 2, side)])
    return halves.div_(halves.norm())


def tiled(images: Tensor, budget: Budget, rng: SampleRNG) -> Tensor:
    """The images to begin with: a grid of five by five patterns, each turned at random, with a sign per channel."""
    count, channels, height, width = images.shape
    side = max(min(height, width) // 5, 1)
    rows, columns = height // side, width // side
    drawn = rng.uniform((1 + channels, rows * columns, 1, 1)).to(images.device) < 0.5
    pattern = two_hills(side).to(images.device)
    tiles = torch.where(drawn[:, :1], pattern, pattern.T) * torch.where(drawn[:, 1:], 1.0, -1.0)
    grid = tiles.view(count, channels, rows, columns, side, side).transpose(3, 4)
    perturbation = torch.zeros_like(images)
    top, left = (height - rows * side) // 2, (width - columns * side) // 2
    perturbation[:, :, top : top + rows * side, left : left + columns * side] = grid.reshape(
        count, channels, rows * side, columns * side
    )
    return _at_full_length(images, perturbation, budget)


def window_side(side: int, height: int, width: int) -> int:
    """The side of a window for a square of this side: odd, at least 3, and no larger than the image."""
    return min(max(side, _SMALLEST) | 1, height, width)


def moved(best: Tensor, images: Tensor, side: int, budget: Budget, rng: SampleRNG) -> Tensor:
    """The best images so far, each with one window moved: algorithm 3 of the paper.

    The perturbation of a window is given up. What it was worth, with what the radius leaves, goes to a pattern added to
    the perturbation of another window.
    """
    channels, height, width = best.shape[1:]
    drawn = rng.uniform((5 + channels, 1)).to(best.device)
    gaining, losing = (places_of(drawn[:, k : k + 2], side, height, width, channels) for k in (0, 2))
    change = best - images
    length = lengths(change, "l2")
    change = change.flatten(2)
    before, lost = change.gather(2, gaining), change.gather(2, losing)
    change = change.scatter(2, losing, 0.0)
    worth = lost.square().sum(dim=2) + change.gather(2, gaining).square().sum(dim=2)
    spare = (radius(budget) ** 2 - length.square()).clamp_min_(0.0) / channels
    pattern = two_hills(side).to(best.device)
    turned = torch.where(drawn[:, 4:5] < 0.5, pattern.flatten(), pattern.T.flatten())
    added = turned * torch.where(drawn[:, 5:] < 0.5, 1.0, -1.0)
    gained = _unit(added + _unit(before)) * (worth + spare[:, None]).sqrt_()[..., None]
    return _at_full_length(images, change.scatter_(2, gaining, gained).view_as(images), budget)


def places_of(drawn: Tensor, side: int, height: int, width: int, channels: int) -> Tensor:
    """Numbers of the pixels of a window for each image and channel (n, channels, side * side).

    `drawn` (n, 2, 1), in [0, 1), says how far down and how far to the right it lies.
    """
    # Windows are soon small: their pixels are picked and put back, the rest of the image is copied.
    along = torch.arange(side, device=drawn.device)
    top = drawn[:, :1].mul(height - side + 1).long()
    left = drawn[:, 1:2].mul(width - side + 1).long()
    places = ((top + along.view(1, -1, 1)) * width + (left + along.view(1, 1, -1))).flatten(1)
    return places[:, None].expand(-1, channels, -1)


def _unit(windows: Tensor) -> Tensor:
    """Windows (n, channels, pixels) with the length of each channel's part made 1."""
    length: Tensor = torch.linalg.vector_norm(windows, dim=2, keepdim=True)
    return windows / length.clamp_min_(_TINY)


def _at_full_length(images: Tensor, perturbation: Tensor, budget: Budget) -> Tensor:
    """The images with a perturbation stretched to the radius, then put into the box."""
    scale = radius(budget) / lengths(perturbation, "l2").clamp_min_(_TINY)
    stretched = torch.addcmul(images, perturbation, per_image(scale))
    return stretched if budget.box is None else stretched.clamp_(*budget.box)
