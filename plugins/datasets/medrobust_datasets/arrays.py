"""Images published as arrays: reading them with clear errors, and naming their samples."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medrobust import DataError, DataSource, ImageData

from .decoding import Decoder, resize_arrays


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
    """Arrays of an npz file, never unpickled.

    Raises:
        DataError: if the file is cut short, is no npz, or lacks an array.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if missing := [key for key in keys if key not in archive]:
                raise DataError(f"{path} has no array {' and '.join(missing)}; it has {', '.join(archive) or 'none'}.")
            return [archive[key] for key in keys]
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, AttributeError, TypeError) as error:
        raise DataError(f"{path} cannot be read as npz ({error}); it may be cut short: fetch it again.") from None


def fingerprint_npz(path: Path) -> str:
    """Fingerprint of an npz file by the names, sizes and checksums in its directory, without reading the arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = sorted((entry.filename, entry.file_size, entry.CRC) for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path} cannot be read as npz ({error}); it may be cut short: fetch it again.") from None
    return hashlib.sha256(repr(entries).encode()).hexdigest()[:16]
