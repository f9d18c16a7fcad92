"""The discrete cosine transform (DCT-II, orthonormal) as a product of matrices."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def basis(size: int, count: int, like: Tensor) -> Tensor:
    """The `count` lowest cosines on `size` pixels, one a row: (count, size), as `like` in device and type."""
    frequency = torch.arange(count, dtype=torch.float64)[:, None]
    place = torch.arange(size, dtype=torch.float64)[None, :] + 0.5
    rows = math.sqrt(2 / size) * torch.cos(math.pi / size * frequency * place)
    rows[0] /= math.sqrt(2)
    return rows.to(like)


def low_pass(images: Tensor, share: float) -> Tensor:
    """Images (n, c, h, w) with nothing but the lowest `share` of the frequencies of each axis, at least the mean."""
    height, width = images.shape[-2:]
    down = basis(height, max(1, round(share * height)), images)
    across = basis(width, max(1, round(share * width)), images)
    coarse = torch.einsum("fh,nchw,gw->ncfg", down, images, across)
    return torch.einsum("fh,ncfg,gw->nchw", down, coarse, across)
