"""Random streams keyed by seed, split, patient and view, so that an image never depends on what is drawn beside it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medrobust import SPLITS

from .drawing import Array

GOLDEN = 0.6180339887498949
ROSTER, ANATOMY, FIRST_VIEW = 0, 1, 2
"""Last word of a stream's key: what it is for. Distinct lengths would not do: a seed sequence pads with zeros."""


class Streams:
    """One generator an image; every draw has the images as its first axis.

    Images with the same row share a generator, and with it what is drawn: the anatomy of a patient.
    """

    def __init__(self, generators: Sequence[np.random.Generator], rows: NDArray[np.int64]) -> None:
        self._generators = generators
        self._rows = rows

    def uniform(self, low: float, high: float, *shape: int) -> Array:
        """Uniform on [low, high), shape (n, *shape)."""
        draws = np.stack([g.random(shape, dtype=np.float32) for g in self._generators])
        return np.float32(low) + draws[self._rows] * np.float32(high - low)

    def normal(self, scale: float, *shape: int) -> Array:
        """Normal with mean 0 and standard deviation `scale`, shape (n, *shape)."""
        draws = np.stack([g.standard_normal(shape, dtype=np.float32) for g in self._generators])
        return draws[self._rows] * np.float32(scale)

    def chance(self, probability: float | Array, *shape: int) -> Array:
        """1 with the given probability, else 0, shape (n, *shape)."""
        return (self.uniform(0, 1, *shape) < probability).astype(np.float32)

    def choice_of(self, first: float, second: float) -> Array:
        """One of two values with equal probability, shape (n,)."""
        return np.where(self.uniform(0, 1) < 0.5, np.float32(first), np.float32(second))

    def side(self, *shape: int) -> Array:
        """-1 or 1 with equal probability, shape (n, *shape)."""
        return 2 * self.chance(0.5, *shape) - 1


@dataclass(frozen=True)
class Roster:
    """Who is in a split: for each image its patient and the number of its view.

    Attributes:
        key: seed, data set and split, as words of a seed sequence.
        patients: patient of each image (n,).
        views: 0-based view of its patient, for each image (n,).
    """

    key: tuple[int, int, int]
    patients: NDArray[np.int64]
    views: NDArray[np.int64]

    @classmethod
    def of(cls, name: str, seed: int, split: str, images: int) -> Roster:
        """The first `images` images of a split; each patient has 2 to 4, the last one as many as are left."""
        key = (seed, zlib.crc32(name.encode()), SPLITS.index(split))
        counts: list[int] = []
        while sum(counts) < images:
            counts.append(int(_generator(key, len(counts), ROSTER).integers(2, 5)))
        patients = np.repeat(np.arange(len(counts)), counts)[:images]
        views = np.concatenate([np.arange(0), *(np.arange(count) for count in counts)])[:images]
        return cls(key, patients, views)

    def batch(self, images: NDArray[np.int64]) -> Batch:
        """Fresh streams of the images with these numbers."""
        patients, views = self.patients[images], self.views[images]
        unique, rows = np.unique(patients, return_inverse=True)
        anatomy = [_generator(self.key, int(p), ANATOMY) for p in unique]
        views_ = [_generator(self.key, int(p), FIRST_VIEW + int(v)) for p, v in zip(patients, views, strict=True)]
        offset = np.random.default_rng(self.key).random()
        position = np.asarray((offset + (patients + 1) * GOLDEN) % 1.0, dtype=np.float64)
        return Batch(Streams(anatomy, rows), Streams(views_, np.arange(len(patients))), position)


@dataclass(frozen=True)
class Batch:
    """What a group of images is drawn from.

    Attributes:
        patient: streams shared by the images of a patient.
        view: streams of each image.
        position: in [0, 1), the same for all images of a patient; evenly spread over patients (a golden-ratio
            sequence), so that classes cut from it keep their proportions, rare ones too, in small splits.
    """

    patient: Streams
    view: Streams
    position: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.position)

    def classes(self, shares: Sequence[float], *, turnover: float = 0.0) -> NDArray[np.int64]:
        """Class of each image, in proportion to `shares`.

        Args:
            shares: relative frequency of each class.
            turnover: probability that an image has a class of its own and not that of its patient (a healed finding,
                the other eye, another part of the slide).
        """
        edges = np.cumsum(np.asarray(shares, dtype=np.float64) / np.sum(shares))
        own = self.view.uniform(0, 1).astype(np.float64)
        moved = self.view.chance(turnover) > 0
        return np.searchsorted(edges[:-1], np.where(moved, own, self.position), side="right").astype(np.int64)


def _generator(key: tuple[int, int, int], patient: int, purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((*key, patient, purpose))))
