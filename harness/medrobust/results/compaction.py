"""Joining the small files of a store when there are many."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

import pyarrow as pa

from ..errors import LostError
from .objects import Found
from .samples import by_record
from .schema import TABLES
from .tables import JOINED, Tables

ABOVE = 48
"""A table of more small files than this is compacted at the end of a run."""
SMALL = 8 * 2**20
"""Bytes from which a file is left alone: joining it again after every run would cost more than it gains, and the larger
a file is, the more is lost with it where it is damaged."""


def compact(tables: Tables, *, above: int = ABOVE) -> None:
    """Join the small files of each table that has many; a kill in between leaves rows twice, which is forgiven.

    A table that another process is joining, or of which a file turns out to be damaged, is left for the next time.
    """
    for table in TABLES:
        small = [found for found in tables.names(table) if found.size < SMALL]
        if len(small) > above:
            with contextlib.suppress(LostError):
                for some in _portions(small):
                    _join(tables, table, some)


def _portions(small: list[Found]) -> Iterator[list[Found]]:
    """Files that together are about as large as one that is left alone."""
    portion: list[Found] = []
    size = 0
    for found in small:
        portion.append(found)
        size += found.size
        if size >= SMALL:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _join(tables: Tables, table: str, small: list[Found]) -> None:
    seen: set[str] = set()
    kept: list[pa.Table] = []
    for found in reversed(small):
        rows = tables.read_file(table, found)
        if table == "samples":
            fresh = [(record, part) for record, part in by_record(rows) if record not in seen]
            seen |= {record for record, _ in fresh}
            kept += [part for _, part in fresh]
        else:
            kept.append(rows)
    joined = pa.concat_tables(kept)
    joined = latest_requests(joined) if table == "requests" else joined
    names = "\0".join(found.name for found in small)
    tables.replace(table, f"{JOINED}{hashlib.sha256(names.encode()).hexdigest()[:12]}", small, joined)


def latest_requests(rows: pa.Table) -> pa.Table:
    """Rows of each request from the last time it was made."""
    frame = rows.select(["request", "position", "created"]).to_pandas()
    latest = frame["created"] == frame.groupby("request", sort=False)["created"].transform("max")
    return rows.filter(pa.array(latest & ~frame.duplicated(["request", "position", "created"])))
