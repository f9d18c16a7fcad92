"""Which rows of a store are valid: those whose samples are there and were computed with the weights that are there.

Weights and perturbations have an identity, which determines how they are made, and a content. If they are lost and made
again, on another machine for instance, their content may differ in the last digits. What was computed with the old
content then counts as lost, so that no number compares records of two models.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NO_RECORD = (
    "its record, or the clean one that it is compared with, was in a file that is damaged or gone; run its grid again"
)
"""The reason of a cell that was computed and has no numbers."""
NO_SAMPLES = "its samples were in a file that is damaged or gone; run its grid again"
OTHER_CONTENT = "weights or a perturbation that it rests on were lost and are now others; run its grid again"


def made_from(contents: Mapping[str, str]) -> list[str]:
    """The column `made_from`: the content behind each identity that a result was computed with."""
    return [f"{identity}={content}" for identity, content in contents.items()]


def outdated(column: pa.ChunkedArray, contents: Mapping[str, str]) -> pa.Array:
    """Which rows were made from other content than is there now. Content that is not there at all does not count.

    Args:
        column: the column `made_from`.
        contents: the content behind each identity now.
    """
    lists = _one_chunk(column)
    flat = pc.list_flatten(lists)
    other = [text for text in flat.unique().to_pylist() if _is_other(text, contents)]
    mask = np.zeros(len(column), dtype=bool)
    if other:
        mask[pc.list_parent_indices(lists).filter(pc.is_in(flat, pa.array(other))).to_numpy()] = True
    return pa.array(mask)


def _is_other(text: str, contents: Mapping[str, str]) -> bool:
    identity, _, content = text.partition("=")
    return contents.get(identity, content) != content


def mark_lost(cells: pa.Table, records: Collection[str], contents: Mapping[str, str]) -> pa.Table:
    """Rows of the table `cells`, in which those that lost what they say are `missing`, with the reason.

    Args:
        cells: with the columns `status`, `samples` and `made_from`, and perhaps `reason`.
        records: keys of the samples that are there.
        contents: the content behind each identity now.
    """
    keys, status = cells["samples"], cells["status"]
    there = pc.is_in(keys, pa.array(sorted(records), pa.string()))
    gone = pc.and_(pc.and_(pc.equal(status, "ok"), pc.is_valid(keys)), pc.invert(there))
    judged = pc.is_in(status, pa.array(["ok", "invalid"]))
    other = pc.and_(judged, pa.chunked_array([outdated(cells["made_from"], contents)]))
    lost = pc.or_(gone, other)
    if not pc.any(lost).as_py():
        return cells
    cells = _with(cells, "status", pc.if_else(lost, "missing", status))
    if "reason" in cells.column_names:
        reason = pc.if_else(other, OTHER_CONTENT, pc.if_else(gone, NO_SAMPLES, cells["reason"]))
        cells = _with(cells, "reason", reason)
    return cells


def _with(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, column)


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def first_there(rows: Iterable[tuple[str, str, str]], there: Collection[str]) -> dict[str, str]:
    """The content behind each identity: the first to be made of those that are there.

    Which one it is does not depend on the order of files, so that everybody means the same weights by one identity,
    should two runs have made them twice.

    Args:
        rows: (identity, content, time of making as text).
    """
    found: dict[str, str] = {}
    for _, content, identity in sorted((made, content, identity) for identity, content, made in rows):
        if content in there:
            found.setdefault(identity, content)
    return found
