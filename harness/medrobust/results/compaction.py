"""Joining the small files of a store when there are many."""

from __future__ import annotations

import hashlib

import pyarrow as pa

from ..errors import LostError
from .samples import by_record
from .schema import TABLES
from .tables import JOINED, Tables

ABOVE = 48
"""A table of more small files than this is compacted at the end of a run."""
SMALL = 32 * 2**20
"""Bytes from which compaction leaves a file alone: joining it again after every run would cost more than it gains."""


def compact(tables: Tables, *, above: int = ABOVE) -> None:
    """Join the small files of each table that has many; a kill in between leaves rows twice, which is forgiven.

    A table that another process is joining, or of which a file turns out to be damaged, is left for the next time.
    """
    for table in TABLES:
        small = [found for found in tables.names(table) if found.size < SMALL]
        if len(small) <= above:
            continue
        seen: set[str] = set()
        kept: list[pa.Table] = []
        try:
            for found in reversed(small):
                rows = tables.read_file(table, found)
                if table == "samples":
                    fresh = [(record, part) for record, part in by_record(rows) if record not in seen]
                    seen |= {record for record, _ in fresh}
                    kept += [part for _, part in fresh]
                else:
                    kept.append(rows)
        except LostError:
            continue
        joined = pa.concat_tables(kept)
        joined = latest_requests(joined) if table == "requests" else joined
        names = "\0".join(found.name for found in small)
        tables.replace(table, f"{JOINED}{hashlib.sha256(names.encode()).hexdigest()[:12]}", small, joined)


def latest_requests(rows: pa.Table) -> pa.Table:
    """Rows of each request from the last time it was made."""
    frame = rows.select(["request", "position", "created"]).to_pandas()
    latest = frame["created"] == frame.groupby("request", sort=False)["created"].transform("max")
    return rows.filter(pa.array(latest & ~frame.duplicated(["request", "position", "created"])))
