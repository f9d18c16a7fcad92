"""CIFAR-10."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from medrobust import SPLITS, DataError, DataInfo, Dataset, DataSource, ImageData, Reference, fingerprint_files

from .arrays import image_data
from .base import HeldOut
from .decoding import Decoder
from .references import CIFAR10
from .splitting import hold_out


@dataclass(frozen=True, kw_only=True)
class Cifar10(Dataset):
    """Small natural images of ten classes (50,000 train, 10,000 test), through torchvision.

    Layout: `cifar10/cifar-10-batches-py/*` below the data root, whose checksums torchvision verifies before it reads
    them. The publisher names no val split: a share of train is held out, stratified by class.

    Attributes:
        size: side in pixels; other than 32 is resized (bilinear, antialiased).
        val: share of the training images held out as `val`.
    """

    name: ClassVar[str] = "cifar10"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (CIFAR10,)
    licence: ClassVar[str] = "none stated by the publisher"

    size: Annotated[int, Field(ge=8, le=4096)] = 32
    val: HeldOut = 0.1

    def describe(self, source: DataSource) -> DataInfo:
        self._find(source)
        return DataInfo(CLASSES, (self.size, self.size), 3, splits=SPLITS if self.val else ("train", "test"))

    def load(self, split: str, source: DataSource) -> ImageData:
        folder = self._find(source)
        if split == "val" and not self.val:
            raise DataError("cifar10 has no val split with val = 0; hold one out with val = 0.1.")
        # Imported here because torchvision takes seconds, which every command would pay.
        from torchvision.datasets import CIFAR10

        try:
            published = CIFAR10(folder.parent, train=split != "test")
        except RuntimeError as error:
            raise DataError(f"{folder}: {error}; {_remedy(folder.parent)}.") from None
        part = "test" if split == "test" else "train"
        labels = np.asarray(published.targets, dtype=np.int64)
        data = image_data(part, published.data, labels, Decoder(self.size, 3), source)
        if split == "test":
            return data
        ids = data.ids.tolist()
        held = hold_out(ids, labels.tolist(), self.val, purpose="val")
        inside = np.asarray([name in held for name in ids])
        return data.take(np.flatnonzero(inside if split == "val" else ~inside))

    def fingerprint(self, source: DataSource) -> str:
        folder = self._find(source)
        return fingerprint_files(folder, sorted(folder.glob("*_batch*")))

    def _find(self, source: DataSource) -> Path:
        what = f"CIFAR-10 ({_remedy((source.root or Path()) / 'cifar10')})"
        return source.find("cifar10/cifar-10-batches-py", what=what)


CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def _remedy(folder: Path) -> str:
    return f"fetch it with: python -c \"from torchvision.datasets import CIFAR10; CIFAR10('{folder}', download=True)\""
