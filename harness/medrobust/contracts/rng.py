"""Random numbers keyed by (seed, sample, draw), so that batch size and order do not matter."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_UINT = NDArray[np.uint64]
_SEED = 1 << 42
"""The restart from which seeds come; no attack restarts so often."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def sample_keys(ids: Sequence[str]) -> _UINT:
    """A stable 64-bit key per sample id."""
    digests = b"".join(hashlib.blake2b(i.encode(), digest_size=8).digest() for i in ids)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def _mix(x: _UINT) -> _UINT:
    """The finaliser of SplitMix64 (Steele et al., 2014): a bijection whose outputs pass as independent."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class SampleRNG:
    """A random stream per image.

    Each image has a counter of its own, shared by every view made by indexing: an image draws the same numbers whether
    it sits in a batch of one or of a thousand, and whichever images have left the batch before it.
    """

    def __init__(self, seed: int, keys: _UINT, device: torch.device | str = "cpu") -> None:
        with np.errstate(over="ignore"):
            self._keys = _mix(keys ^ _mix(np.full(1, seed % 2**64, dtype=np.uint64) * _GOLDEN + _GOLDEN))
        self._counters = np.zeros(len(keys), dtype=np.uint64)
        self._index: NDArray[np.int64] = np.arange(len(keys))
        self._device = torch.device(device)

    @classmethod
    def for_ids(cls, seed: int, ids: Sequence[str], device: torch.device | str = "cpu") -> SampleRNG:
        """Streams for the images with these sample ids."""
        return cls(seed, sample_keys(ids), device)

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, mask: Tensor | slice) -> SampleRNG:
        """The streams of the images that `mask` (boolean, indices or a slice) selects; counters stay shared."""
        view = object.__new__(SampleRNG)
        view.__dict__.update(self.__dict__)
        view._index = self._index[mask if isinstance(mask, slice) else mask.cpu().numpy()]
        return view

    def restarted(self, times: int = 0) -> SampleRNG:
        """The streams of these images from their start; each other value of `times` gives independent streams."""
        fresh = object.__new__(SampleRNG)
        fresh.__dict__.update(self.__dict__)
        fresh._counters = np.zeros(len(self._keys), dtype=np.uint64)
        if times:
            with np.errstate(over="ignore"):
                fresh._keys = _mix(self._keys ^ _mix(np.full(1, times, dtype=np.uint64) * _GOLDEN))
        return fresh

    def seed(self) -> int:
        """A seed (63 bits) for other generators, derived from the first of these streams, which is not advanced."""
        return int(self[:1].restarted(_SEED)._bits(1)[0, 0] >> np.uint64(1))

    def _bits(self, count: int) -> _UINT:
        """`count` 64-bit words per image, shape (n, count); advances each image's counter by one draw."""
        draw = self._counters[self._index]
        self._counters[self._index] += np.uint64(1)
        with np.errstate(over="ignore"):
            streams = _mix(self._keys[self._index] + _mix((draw + np.uint64(1)) * _GOLDEN))
            steps = np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
            return _mix(streams[:, None] + steps[None, :])

    def uniform(self, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform float32 in [low, high), one independent array of `shape` per image: (n, *shape)."""
        count = int(np.prod(shape, dtype=np.int64))
        unit = (self._bits(count) >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
        values = torch.from_numpy(unit).to(self._device).reshape(len(self), *shape)
        return values.mul_(high - low).add_(low)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal float32 (Box-Muller), shape (n, *shape)."""
        count = int(np.prod(shape, dtype=np.int64))
        bits = self._bits(2 * count)
        first, second = (
            (bits[:, half] >> np.uint64(11)).astype(np.float64) + 0.5 for half in (slice(count), slice(count, None))
        )
        radius = np.sqrt(-2.0 * np.log(first * 2.0**-53))
        values = (radius * np.cos(2.0 * np.pi * 2.0**-53 * second)).astype(np.float32)
        return torch.from_numpy(values).to(self._device).reshape(len(self), *shape)

    def integers(self, shape: Sequence[int], high: int) -> Tensor:
        """Uniform int64 in [0, high), shape (n, *shape)."""
        count = int(np.prod(shape, dtype=np.int64))
        values = (self._bits(count) >> np.uint64(11)).astype(np.float64) * (2.0**-53 * high)
        return torch.from_numpy(values.astype(np.int64)).to(self._device).reshape(len(self), *shape)
