"""What a data set author implements."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import DataUnavailable, shown
from .classifier import Task
from .origin import Origin, RemoteFile
from .pixels import Chosen, Pixels
from .plugin import Plugin

SPLITS = ("train", "val", "test")


def _silent(done: int, total: int) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class DataSource:
    """Where a data set looks for its files.

    Attributes:
        root: the data root (`--data-root` or MEDROBUST_DATA), or None.
        progress: called with (images done, images in all) while decoding.
        confined: whether only what lies below the root is found, as where a stranger's records say what to open.
    """

    root: Path | None = None
    progress: Callable[[int, int], None] = _silent
    confined: bool = False

    def find(self, path: str, *, what: str) -> Path:
        """The file or folder `path`: absolute, below the data root, or below the working directory.

        Raises:
            DataUnavailable: naming the places that were searched and what to put there.
        """
        if self.confined:
            return self._below_root(path, what)
        places = [Path(path).expanduser()] if Path(path).expanduser().is_absolute() else []
        if not places:
            places = [*([self.root / path] if self.root else []), Path.cwd() / path]
        for place in places:
            if place.exists():
                return place
        looked = " nor ".join(str(p) for p in places)
        root = "" if self.root else " No data root is set: give --data-root or set MEDROBUST_DATA."
        raise DataUnavailable(
            f"{what} is neither at {looked}.{root}" if len(places) > 1 else f"{what} is not at {looked}.{root}"
        )

    def _below_root(self, path: str, what: str) -> Path:
        root = self.root.resolve() if self.root else None
        place = root / path if root else None
        if root is None or place is None or not place.resolve().is_relative_to(root):
            raise DataUnavailable(
                f"{what} is looked for below the data root alone, since somebody else's record names it, and "
                f"{shown(path)} is not there"
            )
        if not place.exists():
            raise DataUnavailable(f"{what} is not at {place}.")
        return place


@dataclass(frozen=True)
class DataInfo:
    """What is known of a data set without decoding an image.

    Attributes:
        classes: class names (multi-class) or label names (multi-label), in index order.
        size: (height, width) in pixels.
        channels: 1 or 3.
        task: `multiclass` or `multilabel`.
        splits: the splits it has, in the order train, val, test.
        grouped: whether group ids (patients) are known.
        shared_groups: declares that some groups are in several splits, because the published splits are so. Results are
            then marked with how many there are; undeclared, they are an error.
    """

    classes: tuple[str, ...]
    size: tuple[int, int]
    channels: int
    task: Task = "multiclass"
    splits: tuple[str, ...] = SPLITS
    grouped: bool = False
    shared_groups: bool = False


@dataclass(frozen=True)
class Members:
    """Who is in a split.

    Attributes:
        ids: sample ids.
        groups: the group of each, or None where unknown.
        labels: the class of each as an index, or None where unknown or where an image has several labels.
    """

    ids: Sequence[str]
    groups: Sequence[str] | None = None
    labels: Sequence[int] | None = None


@dataclass(frozen=True)
class ImageData:
    """The images of one split, in a fixed order.

    Attributes:
        images: uint8 (or uint16) of shape (n, h, w, c): an array, which may be a memory map, or `OnDemand`.
        labels: int64 class indices (n,), a 0/1 int64 matrix (n, labels), or None where labels are absent.
        ids: sample ids, unique within the data set.
        groups: group ids (patients) or None where unknown.
    """

    images: Pixels
    labels: NDArray[np.int64] | None
    ids: NDArray[np.str_]
    groups: NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def take(self, index: NDArray[np.int64]) -> ImageData:
        """The images at `index`, in that order; pixels are not copied."""
        return ImageData(
            Chosen(self.images, index),
            None if self.labels is None else self.labels[index],
            self.ids[index],
            None if self.groups is None else self.groups[index],
        )


class Dataset(Plugin):
    """Labelled images with splits; the core converts uint8 to float32 in [0, 1]."""

    kind: ClassVar[str] = "dataset"
    cached: ClassVar[bool] = True
    """Whether the core keeps decoded images in its cache folder."""
    origin: ClassVar[Origin | None] = None
    """Where its files come from; None of procedural data and of folders that people fill themselves."""
    redistributable: ClassVar[bool] = False
    """Whether the terms in `licence` permit passing images on, such as examples on a web page, with those terms beside
    them (attribution, no commercial use). Without this declaration no image is ever published."""

    @property
    def files(self) -> tuple[RemoteFile, ...]:
        """What `medrobust data get` fetches for a data set with these fields."""
        return self.origin.files if self.origin else ()

    @abstractmethod
    def describe(self, source: DataSource) -> DataInfo:
        """Classes, size and splits, without decoding.

        Raises:
            DataUnavailable: if its files are missing; the message says what to put where.
        """

    @abstractmethod
    def load(self, split: str, source: DataSource) -> ImageData:
        """All images of one split. The core caches the result; a split has the same order every time.

        Where a split may be large, return its images as `OnDemand`: labels and ids are then known without
        decoding, and a slice such as `train[:1000]` is decoded alone.
        """

    def members(self, source: DataSource) -> Mapping[str, Members] | None:
        """Sample and group ids of every split, where they are known without decoding; else None.

        With them, images or patients that are in two splits are found before a run; otherwise when the second split is
        decoded.
        """
        return None

    def fingerprint(self, source: DataSource) -> str:
        """A hash of the content of the files, as far as the fields do not determine it; empty for procedural data.

        It is part of the identity of every cell, so it must not depend on the location or the dates of the files.
        """
        return ""


def fingerprint_files(root: Path, files: list[Path], *, whole: tuple[Path, ...] = ()) -> str:
    """Fingerprint of a folder of images: names and sizes of `files`, and the bytes of the small files in `whole`."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.relative_to(root).as_posix()}\0{file.stat().st_size}\n".encode())
    for file in whole:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
