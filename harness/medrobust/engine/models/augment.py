"""Random augmentation of whole batches: each image draws its own transformation, without a Python loop."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ...contracts.augmentation import GEOMETRIC


def augment(images: Tensor, amounts: dict[str, float], generator: torch.Generator) -> Tensor:
    """Augmented images (n, c, h, w) in [0, 1] by amounts of augmentations; borders repeat the edge."""
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
