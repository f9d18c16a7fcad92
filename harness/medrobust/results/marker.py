"""The file `store.json`, which says that a folder is a store and of which schema.

It says nothing that the tables do not say of themselves, so where it is damaged or gone it is written again.
"""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import LostError, StoreError
from .files import Damaged, Files, content_hash, hash_in
from .objects import Objects
from .schema import TABLES, VERSION

MARKER = "store.json"
CONTENT = json.dumps({"schema": VERSION})


def check_marker(files: Files, place: str) -> bool:
    """Make sure that a store, or nothing, is at a place; whether it is a store.

    Raises:
        StoreError: if something else is there, or a store of another schema.
    """
    objects = files.objects
    if read_marker(objects) is None and not objects.anything():
        return False
    # Read after the look at the rest: another run may just have made the store.
    text = read_marker(objects)
    version = _version(text)
    if version == VERSION:
        return True
    if _has_tables(objects):
        _write_again(files, text)
        return True
    if text is None:
        raise StoreError(f"{place}: holds other files and no store; choose another --store")
    if version is None:
        raise StoreError(f"{place}/{MARKER}: is damaged; put back {CONTENT} if this is a store")
    raise StoreError(
        f"{place}: store of schema {version}, this program reads schema {VERSION}; choose another --store to compute "
        "its cells anew, or read it with the medrobust that made it"
    )


def read_marker(objects: Objects) -> str | None:
    """The text of the marker; None if it is not there."""
    try:
        return objects.read(MARKER).decode("utf-8", errors="replace")
    except LostError:
        return None


def _version(text: str | None) -> int | None:
    try:
        version = json.loads(text or "").get("schema")
    except (ValueError, AttributeError, RecursionError):
        return None
    return version if isinstance(version, int) and abs(version) < 10**9 else None


def _has_tables(objects: Objects) -> bool:
    """Whether any table has a file that is whole and says itself that it is of this schema."""
    for table in TABLES:
        for found in objects.listing(table):
            if hash_in(found.name) and _says_so(objects.read(found.name), hash_in(found.name)):
                return True
    return False


def _says_so(data: bytes, expected: str) -> bool:
    if content_hash(data) != expected:
        return False
    try:
        about = pq.read_metadata(pa.BufferReader(data)).metadata or {}
    except pa.ArrowException:
        return False
    return about.get(b"medrobust schema") == str(VERSION).encode()


def _write_again(files: Files, text: str | None) -> None:
    if text is None:
        files.damaged.append(Damaged(MARKER, "missing; written again", ""))
    else:
        files.set_aside(MARKER, "its content is wrong; written again")
    try:
        files.objects.write(MARKER, CONTENT.encode())
    except StoreError:
        return  # a place that can only be read is still read
