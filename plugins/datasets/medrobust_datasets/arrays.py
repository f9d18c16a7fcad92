"""Images published as arrays: reading them with clear errors, and naming their samples."""

from __future__ import annotations

import hashlib
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medrobust import DataError, DataSource, ImageData

from .decoding import Decoder, resize_arrays

RATIO: Final = 100
"""Unpacked bytes for one of an npz file at most: images shrink to a half or a tenth, masks to a fortieth."""
SMALLEST: Final = 10**8
"""Unpacked bytes that any file may have."""
_DAMAGED: Final = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError, OSError, ValueError, EOFError, TypeError),
    *(SyntaxError, AttributeError, RuntimeError, KeyError, IndexError, OverflowError, MemoryError, struct.error),
)
"""What NumPy and zipfile raise on files that are none of theirs, or were changed."""


def image_data(
    split: str,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    decoder: Decoder,
    source: DataSource,
    groups: NDArray[np.str_] | None = None,
) -> ImageData:
    """Images (n, h, w) or (n, h, w, c) at the decoder's size; ids are their places in the published array."""
    ids = np.asarray([f"{split}/{index:06d}" for index in range(len(images))], dtype=np.str_)
    return ImageData(resize_arrays(images, decoder, source.progress), labels, ids, groups)


def read_npz(path: Path, keys: tuple[str, ...]) -> list[NDArray[Any]]:
    """Arrays of an npz file, never unpickled, and none that is larger than its entry in the archive.

    Raises:
        DataError: if the file is cut short, is no npz, lacks an array, or would fill the memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
            if missing := [key for key in keys if key not in names]:
                has = ", ".join(name[:40] for name in list(names)[:12]) or "none"
                raise DataError(f"{path} has no array {' and '.join(missing)}; it has {has}.")
            _refuse_grown(path, [names[key] for key in keys])
            return [_read_array(archive, names[key]) for key in keys]
    except _DAMAGED as error:
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DataError(f"{path} cannot be read as npz ({why}); it may be cut short: fetch it again.") from None


def _refuse_grown(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    declared, size = sum(entry.file_size for entry in entries), path.stat().st_size
    if declared > max(SMALLEST, RATIO * size):
        raise DataError(
            f"{path}: has {size / 1e6:.1f} MB and would unpack to {declared / 1e6:.0f} MB, more than images do; it "
            "was not read: fetch it again."
        )


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    """One array, whose header is held against what the archive says of its size before room is made for it.

    Raises:
        ValueError: if they disagree, or it holds objects, which only a pickle could give.
    """
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read(file)
        if kind.hasobject:
            raise ValueError(f"{entry.filename} holds Python objects, which are never read")
        if math.prod(shape) * kind.itemsize > entry.file_size or min(shape, default=0) < 0:
            raise ValueError(f"{entry.filename} declares more values than it has")
    with archive.open(entry) as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return array


def fingerprint_npz(path: Path) -> str:
    """Fingerprint of an npz file by the names, sizes and checksums in its directory, without reading the arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = sorted((entry.filename, entry.file_size, entry.CRC) for entry in archive.infolist())
    except _DAMAGED as error:
        raise DataError(f"{path} cannot be read as npz ({error}); it may be cut short: fetch it again.") from None
    return hashlib.sha256(repr(entries).encode()).hexdigest()[:16]
