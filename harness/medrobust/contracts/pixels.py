"""Images that are not all in memory: as integers where a data set gives them, as floats where an attack takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

Places = NDArray[Any] | slice | int
"""Which images: their numbers, a range of them, or the number of one."""


class Pixels(Protocol):
    """Images as integers (n, h, w, c): an array, or what can be indexed like one along its first axis."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, places: Any, /) -> NDArray[Any]: ...


_UINT8 = np.dtype(np.uint8)


class _Indexed:
    """What both kinds of images that are no array have in common."""

    shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, places: Places, /) -> NDArray[Any]:
        raise NotImplementedError

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype)


@dataclass(frozen=True, eq=False)
class OnDemand(_Indexed):
    """Images that are decoded when they are asked for; `Dataset.load` may return them in place of an array.

    The core then decodes the images of a slice alone, a few at a time, and keeps them in its cache.

    Attributes:
        decode: the pixels (h, w, c) of the image with this number; may be called in several threads.
        shape: (n, h, w, c).
        dtype: uint8, or uint16.
    """

    decode: Callable[[int], NDArray[Any]]
    shape: tuple[int, ...]
    dtype: np.dtype[Any] = _UINT8

    def __getitem__(self, places: Places, /) -> NDArray[Any]:
        chosen = np.arange(len(self))[places]
        if chosen.ndim == 0:
            return self.decode(int(chosen))
        found = np.empty((len(chosen), *self.shape[1:]), self.dtype)
        for place, number in enumerate(chosen.tolist()):
            found[place] = self.decode(number)
        return found


@dataclass(frozen=True, eq=False)
class Chosen(_Indexed):
    """Some images of others, in an order of their own; no pixel is copied before it is asked for.

    Attributes:
        base: the others.
        index: numbers of the chosen ones, int64 (n,).
    """

    base: Pixels
    index: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        return (len(self.index), *self.base.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.base.dtype

    def __getitem__(self, places: Places, /) -> NDArray[Any]:
        return self.base[self.index[places]]


class CraftingImages(Protocol):
    """The images that a universal attack is fitted on: float32 (n, c, h, w) in [0, 1], read when they are asked for.

    They are used like a tensor that can be indexed along its first axis only; a tensor may stand for them. What an
    index gives is a tensor on `device`; `images[:]` is all of them, which may be more than memory holds.
    """

    @property
    def shape(self) -> torch.Size: ...

    @property
    def device(self) -> torch.device: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Tensor: ...
