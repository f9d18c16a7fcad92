"""Data sets that break one rule each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from medrobust import (
    DataInfo,
    Dataset,
    DataSource,
    ImageData,
)


@dataclass(frozen=True)
class Album(Dataset):
    """Random images with labels, with a fault.

    Attributes:
        fault: what is wrong with it; nothing, if empty.
    """

    name: ClassVar[str] = "album"
    fault: str = ""

    def describe(self, source: DataSource) -> DataInfo:
        if self.fault == "missing files":
            assert source.root is not None
            (source.root / "album" / "list.csv").read_text()
        return DataInfo(("a", "b"), (8, 8), 1, splits=("train", "test"), grouped=True)

    def load(self, split: str, source: DataSource) -> ImageData:
        rng = np.random.default_rng(None if self.fault == "twice the same" else len(split))
        images = rng.integers(0, 255, (8, 8, 8, 1), dtype=np.uint8)
        labels = np.arange(8, dtype=np.int64) % (1 if self.fault == "every class" else 2)
        ids = np.array([f"{split}-{number}" for number in range(8)])
        groups = np.array([f"{split}-patient-{number // 2}" for number in range(8)])
        if self.fault == "arrays":
            labels = labels + 1
        if self.fault == "ids and patients":
            groups[:2] = "patient-0"
        return ImageData(images, labels, ids, groups)

    def members(self, source: DataSource) -> Any:
        if self.fault != "members":
            return None
        from medrobust import Members

        return {split: Members([f"{number}" for number in range(8)]) for split in ("train", "test")}


@dataclass(frozen=True)
class Listed(Dataset):
    """Images in an array on disk, of which the fingerprint says nothing."""

    name: ClassVar[str] = "listed"

    def describe(self, source: DataSource) -> DataInfo:
        source.find("listed/images.npy", what="the images")
        return DataInfo(("a", "b"), (8, 8), 1, splits=("train",))

    def load(self, split: str, source: DataSource) -> ImageData:
        images = np.load(source.find("listed/images.npy", what="the images"))
        return ImageData(images, np.arange(len(images)) % 2, np.arange(len(images)).astype(str))
