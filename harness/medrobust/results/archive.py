"""Zip archives, written for others and read from strangers: none leaves its folder or unpacks without bound.

An archive is unpacked only if everything it declares is within bounds, and then what comes out is counted as well.
Zip64 is refused: without it an archive has at most 65,535 entries and 4 GB, so even its list of contents is bounded.
"""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import StoreError, cut

NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*")
"""Names of entries: no empty part, none that begins with a dot, no blanks, colons or backslashes."""
LONGEST: Final = 240
DEEPEST: Final = 12
RESERVED: Final = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)")
"""Names that are devices on some systems."""
_END: Final = b"PK\5\6"
_ZIP64: Final = b"PK\6\7"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_ENCRYPTED: Final = 1
_BLOCK: Final = 1 << 20


@dataclass(frozen=True)
class Bounds:
    """What an archive may hold.

    Attributes:
        entries: number of entries.
        bytes: of all entries, unpacked.
        ratio: of unpacked bytes to the size of the archive; what submissions hold is compressed already.
        smallest: unpacked bytes that any archive may have, whatever its ratio.
    """

    entries: int = 20_000
    bytes: int = 16 * 10**9
    ratio: float = 50.0
    smallest: int = 10**7


def pack(file: Path, entries: Iterable[tuple[str, Path | bytes]]) -> None:
    """Write an archive of files and texts, without compression; it is there as a whole or not at all.

    Raises:
        StoreError: if a name is none that `unpack` takes, or the archive cannot be written or is too large.
    """
    beside = file.with_name(f".{file.name}.part")
    try:
        with zipfile.ZipFile(beside, "w", allowZip64=False) as archive:
            for name, content in entries:
                if fault := _odd(name):
                    raise StoreError(f"{name} cannot be packed: {fault}; rename the file")
                about = zipfile.ZipInfo(name, _EPOCH)
                about.external_attr = (stat.S_IFREG | 0o644) << 16
                archive.writestr(about, content.read_bytes() if isinstance(content, Path) else content)
        beside.replace(file)
    except zipfile.LargeZipFile:
        raise StoreError(f"{file}: would be larger than 4 GB or have too many files; choose fewer cells") from None
    except OSError as error:
        raise StoreError(f"{file}: cannot be written ({error.strerror or error}); choose another --out") from None
    finally:
        beside.unlink(missing_ok=True)


def unpack(file: Path, folder: Path, bounds: Bounds | None = None) -> None:
    """Unpack an archive of a stranger into a folder, which is empty or new.

    Raises:
        StoreError: if it is no zip file or damaged, has a name, a link or a kind of compression that no submission has,
            or holds more than `bounds`; nothing is then left outside the folder.
    """
    bounds = bounds or Bounds()
    try:
        _refuse_zip64(file)
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check(file, entries, bounds)
            folder.mkdir(parents=True, exist_ok=True)
            if (needed := sum(e.file_size for e in entries)) > shutil.disk_usage(folder).free:
                raise StoreError(f"{file}: unpacks to {needed / 1e9:.1f} GB, more than is free at {folder}")
            for entry in entries:
                _extract(archive, entry, folder / entry.filename)
    except (zipfile.BadZipFile, zlib.error, EOFError, IndexError, RuntimeError, ValueError) as error:
        raise StoreError(f"{file}: is no zip file or damaged ({cut(error)}); ask for it again") from None
    except OSError as error:
        raise StoreError(f"{file}: cannot be unpacked ({error.strerror or error})") from None


def _refuse_zip64(file: Path) -> None:
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(size - 22 - 65_535 - 20, 0))
        tail = stream.read()
    if _ZIP64 in tail and _END in tail[tail.rfind(_ZIP64) :]:
        raise StoreError(f"{file}: is an archive of the kind zip64 (over 4 GB or 65,535 files), which is not read")


def _check(file: Path, entries: list[zipfile.ZipInfo], bounds: Bounds) -> None:
    """Refuse an archive by what it declares."""
    if len(entries) > bounds.entries:
        raise StoreError(f"{file}: has {len(entries)} files; at most {bounds.entries} are unpacked")
    total, packed = sum(e.file_size for e in entries), file.stat().st_size
    if total > bounds.bytes or total > max(bounds.smallest, bounds.ratio * packed):
        raise StoreError(
            f"{file}: would unpack {packed / 1e6:.1f} MB to {total / 1e6:.1f} MB; at most {bounds.bytes / 1e9:g} GB "
            f"and {bounds.ratio:g} times the size of the archive are unpacked"
        )
    names = {entry.filename.lower() for entry in entries}
    if len(names) < len(entries):
        raise StoreError(f"{file}: has two entries of one name; nothing of it was unpacked")
    for entry in entries:
        shown = ascii(entry.filename[:LONGEST])
        fault = _odd(entry.orig_filename) or _odd(entry.filename) or _odd_kind(entry)
        if fault:
            raise StoreError(f"{file}: has the entry {shown}, {fault}; nothing of it was unpacked")
        if not names.isdisjoint(_above(entry.filename)):
            raise StoreError(f"{file}: has the entry {shown} below another file; nothing of it was unpacked")


def _above(name: str) -> list[str]:
    parts = name.lower().split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _odd(name: str) -> str:
    """Why a name is not taken; empty if it is."""
    parts = name.split("/")
    if name.startswith(("/", "\\")) or ".." in re.split(r"[\\/]", name) or re.match(r"[A-Za-z]:", name):
        return "which leads out of its folder"
    if not NAME.fullmatch(name) or any(RESERVED.match(part.lower()) or part.endswith(".") for part in parts):
        return "whose name has characters other than letters, digits and _.+- or begins with one of these"
    if len(name) > LONGEST or len(parts) > DEEPEST:
        return "whose name is too long"
    return ""


def _odd_kind(entry: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "which is a link" if kind == stat.S_IFLNK else "which is no file"
    if entry.flag_bits & _ENCRYPTED:
        return "which is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "which is compressed in a way that is not read"
    return ""


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, place: Path) -> None:
    """Write one entry, and no more of it than it declares."""
    place.parent.mkdir(parents=True, exist_ok=True)
    left = entry.file_size
    with archive.open(entry) as source, place.open("xb") as target:
        while block := source.read(_BLOCK):
            left -= len(block)
            if left < 0:
                raise zipfile.BadZipFile(f"{entry.filename} is longer than it declares")
            target.write(block)
    if left:
        raise zipfile.BadZipFile(f"{entry.filename} is shorter than it declares")
