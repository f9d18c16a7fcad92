"""Random augmentation of whole batches: each image draws its own transformation, without a Python loop."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import ModelError, did_you_mean

GEOMETRIC = {"hflip": 0.5, "vflip": 0.5, "shift": 0.05, "rotate": 5.0, "scale": 0.1, "shear": 0.1}
PHOTOMETRIC = {"brightness": 0.1, "contrast": 0.1}
"""Names with their default amounts: probabilities (flips), shares of the side (shift), degrees (rotate), ratios."""


def parse(names: Sequence[str]) -> dict[str, float]:
    """`("hflip", "rotate:10")` as {"hflip": 0.5, "rotate": 10.0}.

    Raises:
        ModelError: for an unknown name or an amount that is no number.
    """
    valid = {**GEOMETRIC, **PHOTOMETRIC}
    amounts = {}
    for text in names:
        name, _, amount = text.partition(":")
        if name not in valid:
            raise ModelError(f"augment: unknown augmentation '{name}'{did_you_mean(name, valid)}")
        try:
            amounts[name] = float(amount) if amount else valid[name]
        except ValueError:
            raise ModelError(
                f"augment: '{text}': the amount must be a number, such as '{name}:{valid[name]:g}'"
            ) from None
    return amounts


def augment(images: Tensor, amounts: dict[str, float], generator: torch.Generator) -> Tensor:
    """Augmented images (n, c, h, w) in [0, 1]; borders repeat the edge."""
    n = len(images)

    def draw(name: str) -> Tensor:
        return (torch.rand(n, generator=generator) * 2 - 1) * amounts[name]

    if GEOMETRIC.keys() & amounts.keys():
        a, b, c, d, tx, ty = _identity(n)
        if "rotate" in amounts or "shear" in amounts or "scale" in amounts:
            angle = draw("rotate") * (math.pi / 180) if "rotate" in amounts else torch.zeros(n)
            shear = draw("shear") if "shear" in amounts else torch.zeros(n)
            zoom = 1 + draw("scale") if "scale" in amounts else torch.ones(n)
            a, b = torch.cos(angle) / zoom, (-torch.sin(angle) + shear) / zoom
            c, d = torch.sin(angle) / zoom, torch.cos(angle) / zoom
        for name, flipped in (("hflip", (a, c)), ("vflip", (b, d))):
            if name in amounts:
                sign = torch.where(torch.rand(n, generator=generator) < amounts[name], -1.0, 1.0)
                for column in flipped:
                    column.mul_(sign)
        if "shift" in amounts:
            # The grid spans [-1, 1], so a share of the side is twice as long in its units.
            tx, ty = draw("shift") * 2, draw("shift") * 2
        theta = torch.stack([torch.stack([a, b, tx], 1), torch.stack([c, d, ty], 1)], 1).to(images.device)
        grid = affine_grid(theta, images.shape[2], images.shape[3])
        images = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    if "contrast" in amounts:
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = (images - mean) * (1 + draw("contrast").to(images.device).view(-1, 1, 1, 1)) + mean
    if "brightness" in amounts:
        images = images + draw("brightness").to(images.device).view(-1, 1, 1, 1)
    return images.clamp(0, 1)


def affine_grid(theta: Tensor, height: int, width: int) -> Tensor:
    """Where each pixel of an image comes from, (n, h, w, 2), of affine maps (n, 2, 3); coordinates span [-1, 1].

    As `torch.nn.functional.affine_grid` without aligned corners, whose products of matrices with two columns take as
    long as a small network's pass.
    """
    along = [torch.arange(1, 2 * size, 2, device=theta.device) / size - 1 for size in (width, height)]
    across, down, shift = theta[..., None, None].unbind(2)
    return (across * along[0] + (down * along[1].view(-1, 1) + shift)).permute(0, 2, 3, 1)


def _identity(n: int) -> list[Tensor]:
    return [torch.ones(n), torch.zeros(n), torch.zeros(n), torch.ones(n), torch.zeros(n), torch.zeros(n)]
