"""Decoded images on disk: written a few at a time, read as memory maps."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contracts import Chosen, ImageData, OnDemand, Pixels
from ..errors import DataError
from ..results.refused import refused

THREADS = 2
"""Threads that decode; the steps of a run share the cores."""
AT_ONCE = 64
"""Images that are in memory together while they are written."""

Report = Callable[[int, int], None]


def keep(data: ImageData, folder: Path, report: Report) -> None:
    """Write a folder of arrays beside its place and rename it there, so that it is whole or absent.

    Args:
        data: what to write; images that are decoded on demand are decoded now.
        folder: where to.
        report: called with (images decoded, images in all).

    Raises:
        DataError: if an image cannot be decoded.
        PlaceError: if the cache cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=folder.parent))
        try:
            _write_images(data, temporary / "images.npy", report)
            for name in ("labels", "ids", "groups"):
                values = getattr(data, name)
                if values is not None:
                    values = values.astype(str) if name in ("ids", "groups") else values
                    np.save(temporary / f"{name}.npy", np.ascontiguousarray(values), allow_pickle=False)
            try:
                temporary.rename(folder)
            except OSError:
                # Another process was faster; its arrays are the same.
                if not folder.is_dir():
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise refused(folder, error, "set MEDROBUST_CACHE to another folder for decoded images") from error


def _write_images(data: ImageData, file: Path, report: Report) -> None:
    """Images as an array file, through a few images of memory."""
    kind, shape = data.images.dtype, tuple(data.images.shape)
    header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    with file.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for block in _blocks(data, report):
            stream.write(np.ascontiguousarray(block).data)


def _blocks(data: ImageData, report: Report) -> Iterator[NDArray[Any]]:
    count = len(data)
    found = _on_demand(data.images)
    if found is None:
        for start in range(0, count, AT_ONCE):
            yield data.images[start : start + AT_ONCE]
        return
    source, numbers = found

    def decode(place: int) -> NDArray[Any]:
        return _decoded(source, int(numbers[place]), str(data.ids[place]))

    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, count, AT_ONCE):
            block = list(pool.map(decode, range(start, min(start + AT_ONCE, count))))
            report(start + len(block), count)
            yield np.stack(block)


def _decoded(source: OnDemand, number: int, name: str) -> NDArray[Any]:
    try:
        pixels = source.decode(number)
    except OSError as error:
        raise DataError(f"image '{name}' cannot be decoded: {error}") from error
    if pixels.shape != source.shape[1:] or pixels.dtype != source.dtype:
        raise DataError(
            f"image '{name}' is decoded as {pixels.dtype} {pixels.shape}; its data set says that images are "
            f"{source.dtype} {source.shape[1:]}"
        )
    return pixels


def _on_demand(images: Pixels) -> tuple[OnDemand, NDArray[np.int64]] | None:
    """The images that have to be decoded and which of them; None of images that are there."""
    if isinstance(images, OnDemand):
        return images, np.arange(len(images))
    if isinstance(images, Chosen) and (found := _on_demand(images.base)) is not None:
        return found[0], found[1][images.index]
    return None


def waits(images: Pixels) -> bool:
    """Whether images have to be decoded yet."""
    return _on_demand(images) is not None


def remove(folder: Path) -> None:
    """Forget what `keep` wrote."""
    shutil.rmtree(folder, ignore_errors=True)
    opened.cache_clear()


@lru_cache(maxsize=64)
def opened(folder: Path) -> ImageData:
    """The images in a folder that `keep` wrote.

    Raises:
        DataError: if a file is damaged.
    """

    def read(name: str, *, mapped: bool = False) -> Any:
        file = folder / f"{name}.npy"
        try:
            return np.load(file, mmap_mode="r" if mapped else None, allow_pickle=False) if file.exists() else None
        except (ValueError, OSError):
            raise DataError(f"{file}: the cache is damaged; delete {folder}") from None

    return ImageData(read("images", mapped=True), read("labels"), read("ids"), read("groups"))
