"""Splits and slices of data sets, decoded into the cache and checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..contracts import SPLITS, DataInfo, Dataset, DataSource, ImageData, Members, Pixels
from ..errors import DataError
from ..grid.identity import digest
from ..grid.overlap import check_splits
from ..grid.parts import Part
from ..grid.slices import cut
from .image_cache import keep, opened, remove, waits

CACHE_FORMAT = 1
ALONE = 0.5
"""Share of a split below which a slice is decoded without the rest: more would mostly be decoded twice."""


def load_split(dataset: Dataset, identity: str, split: str, source: DataSource, cache: Path) -> ImageData:
    """A whole split, from the cache of decoded images if it is there, else decoded into it.

    Raises:
        DataError: if its arrays are not as they must be, or images or groups of it are in another split as well.
    """
    if not dataset.cached:
        return _loaded(dataset, split, source)
    folder = _folder(cache, identity, split)
    if not folder.is_dir():
        _keep_split(_loaded(dataset, split, source), folder, dataset, identity, source, cache)
    return opened(folder)


def load_slice(dataset: Dataset, identity: str, part: Part, source: DataSource, cache: Path) -> ImageData:
    """The images of a slice; a small one of images that are decoded on demand is decoded and kept alone.

    Raises:
        DataError: as for a whole split, and if it contains no image.
    """
    split = part.slice.split
    whole, alone = _folder(cache, identity, split), _folder(cache, identity, split, str(part.slice), part.split_seed)
    if dataset.cached and not whole.is_dir():
        if alone.is_dir():
            return opened(alone)
        data = _loaded(dataset, split, source)
        index = _chosen(data, part)
        if waits(data.images) and len(index) < ALONE * len(data):
            keep(data.take(index), alone, source.progress)
            return opened(alone)
        _keep_split(data, whole, dataset, identity, source, cache)
    data = load_split(dataset, identity, split, source, cache)
    return data.take(_chosen(data, part))


def _chosen(data: ImageData, part: Part) -> NDArray[np.int64]:
    index = cut(data, part.slice, part.split_seed)
    if not len(index):
        raise nothing_in(part, data)
    return index


def nothing_in(part: Part, data: ImageData) -> DataError:
    """What to say of a slice without an image, from the images of its split."""
    groups = 0 if data.groups is None else len(np.unique(data.groups))
    kept_whole = f" of {groups} groups (patients), which are kept whole: take fewer or larger parts" if groups else ""
    return DataError(
        f"slice '{part.slice}' of data set '{part.dataset.label}' contains no image; its split has {len(data)}"
        f"{kept_whole}"
    )


def _keep_split(
    data: ImageData, folder: Path, dataset: Dataset, identity: str, source: DataSource, cache: Path
) -> None:
    keep(data, folder, source.progress)
    try:
        # After it is kept: of two processes that decode two splits at once, one sees the other's.
        declared = dataset.describe(source).shared_groups
        check_splits(decoded_members(identity, cache), f"data set '{dataset.title}'", shared_groups=declared)
    except DataError:
        remove(folder)
        raise


def decoded_members(identity: str, cache: Path) -> dict[str, Members]:
    """Who is in the splits of a data set that are decoded so far."""
    found = {split: _folder(cache, identity, split) for split in SPLITS}
    return {split: _members(opened(folder)) for split, folder in found.items() if folder.is_dir()}


def _members(data: ImageData) -> Members:
    return Members(data.ids.tolist(), None if data.groups is None else data.groups.tolist())


def _folder(cache: Path, identity: str, *what: object) -> Path:
    """Where decoded images are kept."""
    return cache / "data" / digest(identity, *what, CACHE_FORMAT)


def _loaded(dataset: Dataset, split: str, source: DataSource) -> ImageData:
    """What a data set gives, checked."""
    data = dataset.load(split, source)
    check_arrays(data, dataset.describe(source), split, f"data set '{dataset.title}', split '{split}'")
    return data


def check_arrays(data: ImageData, info: DataInfo, split: str, where: str) -> None:
    """A data set's author hears at once what is wrong with the arrays of a split.

    Raises:
        DataError: naming what is wrong, and what would be right.
    """
    given, said = tuple(data.images.shape), (*info.size, info.channels)
    if data.images.dtype not in (np.uint8, np.uint16) or len(given) != 4:
        hint = _hint(data.images)
        raise DataError(f"{where}: images must be uint8 (n, h, w, c), got {data.images.dtype} {given}{hint}")
    if given[1:] != said:
        hint = "; channels come last: images.transpose(0, 2, 3, 1)" if given[1:] == (said[2], *said[:2]) else ""
        raise DataError(f"{where}: images must be {_shape(said)} as describe() says, got {_shape(given[1:])}{hint}")
    for name, values in (("labels", data.labels), ("ids", data.ids), ("groups", data.groups)):
        if values is not None and len(values) != len(data.images):
            raise DataError(f"{where}: {len(values)} {name} for {len(data.images)} images")
    check_splits({split: _members(data)}, where, shared_groups=True)
    if data.labels is not None and len(data.labels):
        n, classes = len(data.labels), len(info.classes)
        shape, above = ((n, classes), 2) if info.task == "multilabel" else ((n,), classes)
        given, kind = data.labels.shape, data.labels.dtype
        if given != shape or kind.kind not in "iu":
            raise DataError(f"{where}: labels must be integers of shape {shape}, got {kind} {given}")
        low, high = int(data.labels.min()), int(data.labels.max())
        if low < 0 or high >= above:
            raise DataError(f"{where}: labels run from {low} to {high}, expected 0 to {above - 1} ({info.task})")


def _shape(sides: tuple[int, ...]) -> str:
    return f"(n, {', '.join(map(str, sides))})"


def _hint(images: Pixels) -> str:
    """How arrays that are no images yet become some, where it can be seen."""
    if len(images.shape) == 3:
        return "; grey images have one channel: images[..., None]"
    if not isinstance(images, np.ndarray) or images.ndim != 4 or images.dtype.kind != "f" or not images.size:
        return ""
    return "; (images * 255).round().astype(np.uint8) makes them so" if 0 <= images.min() <= images.max() <= 1 else ""
