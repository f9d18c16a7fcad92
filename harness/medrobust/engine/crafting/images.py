"""The images of a part as universal attacks are given them: read from disk a few at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...contracts import SampleRNG
from ..data import LoadedPart

RESIDENT = 128 * 2**20
"""Bytes of float32 images that stay on the device; reading so few again and again would only cost time."""
_ORDER = 1 << 43
"""The restart from which the crafting order comes; no attack restarts so often."""


class PartImages:
    """Float32 images (n, c, h, w) in [0, 1] of a part, read when they are indexed (`CraftingImages`).

    Args:
        part: the images.
        device: where to.
        order: their order, int64 (n,); that of the part if not given.
        resident: bytes up to which all images are read once and stay.
    """

    def __init__(
        self, part: LoadedPart, device: str, order: NDArray[np.int64] | None = None, *, resident: int = RESIDENT
    ) -> None:
        self._part = part
        self._order = np.arange(len(part)) if order is None else order
        self.shape = torch.Size((len(self._order), *part.shape))
        self.device = torch.device(device)
        small = self.shape.numel() * torch.float32.itemsize <= resident
        self._kept = part.tensor(self._order, device) if small else None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any, /) -> Tensor:
        if self._kept is not None:
            return self._kept[index]
        if isinstance(index, Tensor):
            index = index.cpu().numpy()
        chosen = self._order[index]
        return self._part.tensor(np.atleast_1d(chosen), str(self.device)).reshape(*chosen.shape, *self.shape[1:])


def crafting_order(seed: int, ids: NDArray[np.str_]) -> NDArray[np.int64]:
    """The order in which a universal attack is given its images: a permutation that follows from seed and sample ids.

    Published orders follow file names, which sort by class: each chunk of images would be a run of a few classes. Of
    two images, the same one is first in every set that holds both.
    """
    rng = SampleRNG.for_ids(seed, ids.tolist()).restarted(_ORDER)
    numbers: NDArray[np.int64] = rng.integers((1,), 1 << 53)[:, 0].numpy()
    return np.argsort(numbers, kind="stable")
