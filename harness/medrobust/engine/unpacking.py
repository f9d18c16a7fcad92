"""Unpacking what was downloaded."""

from __future__ import annotations

import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path

from ..contracts.origin import Packing
from ..errors import DataError

_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError)


def unpack(archive: Path, packing: Packing, place: Path) -> None:
    """Put the content of an archive into the folder `place`, or one compressed file at `place`.

    Nothing leaves the folder, whatever names an archive has.

    Raises:
        DataError: if it is damaged, or another kind of file.
    """
    try:
        if packing == "gz":
            _decompress(archive, place)
            return
        place.mkdir(parents=True, exist_ok=True)
        if packing == "zip":
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(place)
        else:
            with tarfile.open(archive) as members:
                members.extractall(place, filter="data")
    except _DAMAGED as error:
        raise DataError(
            f"{archive} cannot be unpacked ({error}); it is no {packing} file or damaged: delete it and fetch it again"
        ) from None


def _decompress(archive: Path, place: Path) -> None:
    """One compressed file, which is there as a whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.part")
    try:
        with gzip.open(archive) as source, beside.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)
