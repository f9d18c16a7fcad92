"""Unpacking what was downloaded: nothing leaves its folder, and nothing grows without bound."""

from __future__ import annotations

import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from ..contracts.origin import Packing
from ..errors import DataError, cut

RATIO: Final = 100
"""Unpacked bytes for one of an archive at most: images are compressed already, tables shrink to a tenth."""
SMALLEST: Final = 10**9
"""Unpacked bytes that any archive may have."""
_BLOCK: Final = 1 << 20
_DAMAGED: Final = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, ValueError, IndexError),
)


def unpack(archive: Path, packing: Packing, place: Path) -> None:
    """Put the content of an archive into the folder `place`, or one compressed file at `place`.

    Raises:
        DataError: if it is damaged or another kind of file, holds a name, link or device that leads out of the folder,
            or far more than its size tells, or cannot be written.
    """
    most = max(SMALLEST, RATIO * archive.stat().st_size)
    try:
        if packing == "gz":
            _decompress(archive, place, most)
        elif packing == "zip":
            _unzip(archive, place, most)
        else:
            _untar(archive, place, most)
    except (tarfile.FilterError, _RefusedError) as error:
        raise DataError(
            f"{archive} is not unpacked: {cut(error)}. No publisher's archive is so; delete it, and fetch it from the "
            "publisher's page"
        ) from None
    except _DAMAGED as error:
        raise DataError(
            f"{archive} cannot be unpacked ({cut(error)}); it is no {packing} file or damaged: delete it and fetch it "
            "again"
        ) from None
    except OSError as error:
        raise DataError(f"{archive} cannot be unpacked to {place} ({error.strerror or error})") from None


class _RefusedError(Exception):
    """What an archive holds is not taken."""


def _unzip(archive: Path, place: Path, most: int) -> None:
    with zipfile.ZipFile(archive) as opened:
        entries = opened.infolist()
        for entry in entries:
            if entry.filename.startswith("/") or re.search(r"(^|[\\/])\.\.([\\/]|$)|\\|^[A-Za-z]:", entry.filename):
                raise _RefusedError(f"its entry {entry.filename[:200]!a} leads out of its folder")
            if stat.S_IFMT(entry.external_attr >> 16) == stat.S_IFLNK:
                raise _RefusedError(f"its entry {entry.filename[:200]!a} is a link")
            if entry.flag_bits & 1:
                raise _RefusedError(f"its entry {entry.filename[:200]!a} is encrypted")
        _check(sum(entry.file_size for entry in entries), most)
        place.mkdir(parents=True, exist_ok=True)
        opened.extractall(place)


def _untar(archive: Path, place: Path, most: int) -> None:
    place.mkdir(parents=True, exist_ok=True)
    total = 0
    with tarfile.open(archive) as members:
        for member in members:
            total += member.size
            _check(total, most)
            members.extract(member, place, filter="data")


def _decompress(archive: Path, place: Path, most: int) -> None:
    """One compressed file, which is there as a whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.part")
    total = 0
    try:
        with gzip.open(archive) as source, beside.open("wb") as target:
            for block in _blocks(source):
                total += len(block)
                _check(total, most)
                target.write(block)
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)


def _blocks(source: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while block := source.read(_BLOCK):
        yield block


def _check(size: int, most: int) -> None:
    if size > most:
        raise _RefusedError(f"it unpacks to more than {most / 1e9:.1f} GB, {RATIO} times its size or more")
