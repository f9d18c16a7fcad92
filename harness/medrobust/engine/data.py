"""Images of a part, decoded once into memory-mapped uint8 and handed out as float batches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..contracts import DataInfo, Dataset, ImageData, Norm
from ..errors import DataError
from ..grid.identity import digest
from ..grid.overlap import groups_in_others
from ..grid.parts import Part
from ..lru import Kept
from ..results.verdict import canonical
from .context import RunContext
from .splits import decoded_members, load_slice, load_split, nothing_in

BLOCK = 64
"""Images that are in memory together where every image is looked at once."""
GREY = (0.299, 0.587, 0.114)
"""Luma weights of ITU-R BT.601, which PIL's conversion uses too."""


@dataclass(frozen=True)
class LoadedPart:
    """The images of a part in their order, still uint8; `tensor` converts a batch."""

    data: ImageData
    info: DataInfo
    shape: tuple[int, int, int]
    """(channels, height, width) that batches are converted to."""

    def __len__(self) -> int:
        return len(self.data)

    def tensor(self, positions: NDArray[Any] | slice, device: str = "cpu") -> Tensor:
        """The images at these places as float32 (n, c, h, w) in [0, 1]."""
        return convert(np.asarray(self.data.images[positions]), self.shape, device)

    def sample(self, device: str = "cpu", *, images: int = 8) -> Tensor:
        """The first few images, for looking at a model."""
        return self.tensor(slice(images), device)

    @cached_property
    def labels(self) -> Tensor | None:
        """Labels as int64 tensor, or None."""
        return None if self.data.labels is None else torch.from_numpy(np.ascontiguousarray(self.data.labels))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of ids, labels and pixels."""
        content = hashlib.sha256("\0".join(self.data.ids.tolist()).encode())
        if self.data.labels is not None:
            content.update(np.ascontiguousarray(self.data.labels).tobytes())
        for start in range(0, len(self), BLOCK):
            content.update(np.ascontiguousarray(self.data.images[start : start + BLOCK]).data)
        return content.hexdigest()[:16]


def convert(images: NDArray[Any], shape: tuple[int, int, int], device: str = "cpu") -> Tensor:
    """uint8 or uint16 (n, h, w, c) to float32 (n, c, h, w) in [0, 1], at the channels and size of `shape`.

    Raises:
        DataError: if the channels can be converted neither to grey nor to RGB.
    """
    if images.shape[3] != shape[0] and {images.shape[3], shape[0]} != {1, 3}:
        raise DataError(
            f"images of {images.shape[3]} channels cannot be converted to {shape[0]}; only grey (1) and RGB (3) can"
        )
    scale = 255.0 if images.dtype == np.uint8 else 65535.0
    if images.dtype != np.uint8:
        images = images.astype(np.int32)
    tensor = torch.from_numpy(np.array(images)).to(device)
    tensor = tensor.permute(0, 3, 1, 2).contiguous().to(torch.float32).div_(scale)
    channels, height, width = shape
    if tensor.shape[1] != channels:
        if channels == 3:
            tensor = tensor.expand(-1, 3, -1, -1)
        else:
            weights = torch.tensor(GREY, device=tensor.device).view(1, 3, 1, 1)
            tensor = (tensor * weights).sum(dim=1, keepdim=True)
    if tensor.shape[2:] != (height, width):
        tensor = F.interpolate(tensor, size=(height, width), mode="bilinear", antialias=True).clamp_(0, 1)
    return canonical(tensor)


def load_part(
    part: Part,
    context: RunContext,
    shape: tuple[int, int, int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LoadedPart:
    """The images of a part; `shape` (channels, height, width) converts to a model's input.

    Raises:
        DataError: if the slice is empty.
        DataUnavailable: if files are missing.
    """
    source = replace(context.source, progress=progress) if progress else context.source
    assert isinstance(part.dataset.plugin, Dataset)
    identity = digest(part.data)
    plugin = part.dataset.plugin
    info = _described.get((identity, source.root), lambda: plugin.describe(source))
    if part.slice.start == 0 and part.slice.stop is None and part.slice.limit is None:
        data = load_split(plugin, identity, part.slice.split, source, context.cache)
        if not len(data):
            raise nothing_in(part, data)
    else:
        data = load_slice(plugin, identity, part, source, context.cache)
    return LoadedPart(data, info, shape or (info.channels, *info.size))


_described: Kept[DataInfo] = Kept(256)
"""Descriptions by identity: a survey of a large folder is not repeated for every step."""


def groups_elsewhere(part: Part, loaded: LoadedPart, context: RunContext) -> str:
    """How many groups of a part's images are in other splits too, where the data set declares that some are."""
    if not loaded.info.shared_groups or loaded.data.groups is None:
        return ""
    assert isinstance(part.dataset.plugin, Dataset)
    members = part.dataset.plugin.members(context.source) or decoded_members(digest(part.data), context.cache)
    return groups_in_others(members, part.slice.split, loaded.data.groups.tolist())


def mean_norm(part: LoadedPart, norm: Norm) -> float:
    """Mean norm of the images of a part, pixels in [0, 1]: what zeta refers to (hirano2021, section Methods)."""
    order = {"linf": float("inf"), "l2": 2.0, "l1": 1.0, "l0": 0.0}[norm]
    total = 0.0
    for start in range(0, len(part), BLOCK):
        batch = part.tensor(slice(start, start + BLOCK)).flatten(1)
        total += float(torch.linalg.vector_norm(batch.double(), ord=order, dim=1).sum())
    return total / len(part)
