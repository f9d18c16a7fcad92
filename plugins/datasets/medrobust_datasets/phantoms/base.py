"""What all phantoms share: fields, splits, ids, and the way from draws to bytes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from medrobust import SPLITS, Count, DataError, DataInfo, Dataset, DataSource, ImageData, Members, Task, Whole

from .drawing import Array, Canvas
from .streams import Batch, Roster

PIXELS_AT_ONCE = 1 << 17
"""Pixels drawn in one batch: few enough to stay in a processor's cache."""


@dataclass(frozen=True)
class Phantom(Dataset):
    """Procedural images: no download, the same on every machine.

    An image depends on seed, split, its number and `size` only, its label on the first three; a larger split begins
    with the images of a smaller one. A patient has 2 to 4 images, all in one split.

    Attributes:
        size: side of the square images in pixels, 28 to 256.
        seed: seed of the data set; 0 or more.
        train: number of training images.
        val: number of validation images.
        test: number of test images.
    """

    licence: ClassVar[str] = "CC0-1.0"
    redistributable: ClassVar[bool] = True
    channels: ClassVar[int] = 3

    size: Annotated[int, Field(ge=28, le=256)] = 32
    seed: Whole = 0
    train: Count = 1200
    val: Count = 200
    test: Count = 400

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in index order."""

    @abstractmethod
    def labels(self, batch: Batch) -> NDArray[np.int64]:
        """Labels of the images of a batch: (n,) or a 0/1 matrix. Must not depend on `size`."""

    @abstractmethod
    def draw(self, batch: Batch, labels: NDArray[np.int64]) -> Array:
        """Images (n, h, w) or (n, h, w, 3), black 0, white 1; values outside are cut off."""

    @property
    def label_type(self) -> Task:
        """Whether an image has one class or any number of labels."""
        return "multiclass"

    def describe(self, source: DataSource) -> DataInfo:
        return DataInfo(
            classes=self.class_names,
            size=(self.size, self.size),
            channels=self.channels,
            task=self.label_type,
            grouped=True,
        )

    def members(self, source: DataSource) -> Mapping[str, Members]:
        found = {}
        for split in SPLITS:
            total: int = getattr(self, split)
            found[split] = Members(*self._names(split, Roster.of(self.name, self.seed, split, total)))
        return found

    def _names(self, split: str, roster: Roster) -> tuple[list[str], list[str]]:
        """Sample ids and patients of a split."""
        ids = [f"{split}-{index:05d}" for index in range(getattr(self, split))]
        return ids, [f"{split}-p{patient:05d}" for patient in roster.patients]

    def load(self, split: str, source: DataSource) -> ImageData:
        if split not in SPLITS:
            raise DataError(f"{self.name} has no split {split!r}; it has {', '.join(SPLITS)}")
        total: int = getattr(self, split)
        roster = Roster.of(self.name, self.seed, split, total)
        images = np.empty((total, self.size, self.size, self.channels), dtype=np.uint8)
        labels: list[NDArray[np.int64]] = []
        step = max(1, PIXELS_AT_ONCE // self.size**2)
        for start in range(0, total, step):
            stop = min(start + step, total)
            own, drawn = self.paint(roster, start, stop)
            labels.append(own)
            images[start:stop] = np.clip(drawn * 255 + 0.5, 0, 255).astype(np.uint8)
            source.progress(stop, total)
        ids, groups = map(np.array, self._names(split, roster))
        return ImageData(images, np.concatenate(labels), ids, groups)

    def paint(self, roster: Roster, start: int, stop: int) -> tuple[NDArray[np.int64], Array]:
        """Labels, and images (n, h, w, c) as floats, of a part of a roster."""
        batch = roster.batch(np.arange(start, stop))
        labels = self.labels(batch)
        return labels, self.draw(batch, labels).reshape(stop - start, self.size, self.size, self.channels)

    def canvas(
        self, batch: Batch, *, shift: float = 0.0, scale: tuple[float, float] = (1.0, 1.0), angle: float = 0.0
    ) -> Canvas:
        """A canvas in the pose of each image.

        Args:
            shift: largest shift in x and in y, in units of half the side.
            scale: smallest and largest magnification.
            angle: largest rotation in radians.
        """
        draws = batch.view
        return Canvas(self.size, draws.uniform(-shift, shift, 2), draws.uniform(*scale), draws.uniform(-angle, angle))

    def grain(self, batch: Batch, scale: float, *shape: int) -> Array:
        """Independent noise of each pixel, (n, h, w, *shape)."""
        return batch.view.normal(scale, self.size, self.size, *shape)
