"""What a cell left of every image, and its form in the table `samples`."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..errors import StoreError
from .schema import SAMPLES


@dataclass(frozen=True)
class Samples:
    """What one cell left per image, in the order of its part; fields as in `Record`."""

    ids: NDArray[np.str_]
    groups: NDArray[np.str_] | None
    labels: NDArray[np.int64] | None
    logits: NDArray[np.float32]
    l2: NDArray[np.float32]
    linf: NDArray[np.float32]
    more_logits: NDArray[np.float32] | None = None
    clean_scores: NDArray[np.float64] | None = None
    scores: NDArray[np.float64] | None = None
    l1: NDArray[np.float32] | None = None
    l0: NDArray[np.float32] | None = None


def to_rows(record: str, samples: Samples) -> pa.Table:
    """Rows of the table `samples`, under the key of a record."""
    n = len(samples.ids)
    labels: pa.Array
    if samples.labels is None:
        labels = pa.nulls(n, pa.list_(pa.int32()))
    else:
        labels = _lists(samples.labels.reshape(n, -1).astype(np.int32), pa.int32())
    return pa.table(
        {
            "record": pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, dtype=np.int32)), pa.array([record])),
            "sample": pa.array(samples.ids.astype(object), pa.string()),
            "group": pa.nulls(n, pa.string())
            if samples.groups is None
            else pa.array(samples.groups.astype(object), pa.string()),
            "label": labels,
            "logits": _lists(samples.logits, pa.float32()),
            "more_logits": pa.nulls(n, pa.list_(pa.float32()))
            if samples.more_logits is None
            else _lists(samples.more_logits.reshape(n, -1), pa.float32()),
            "l2": pa.array(samples.l2, pa.float32()),
            "linf": pa.array(samples.linf, pa.float32()),
            "l1": _optional(samples.l1, n, pa.float32()),
            "l0": _optional(samples.l0, n, pa.float32()),
            "clean_score": _optional(samples.clean_scores, n, pa.float64()),
            "score": _optional(samples.scores, n, pa.float64()),
        },
        schema=SAMPLES,
    )


def from_rows(rows: pa.Table) -> Samples:
    """The samples of one record.

    Raises:
        StoreError: if rows differ in how many logits or labels they have, which no run writes.
    """
    try:
        return _from_rows(rows)
    except (ValueError, pa.ArrowException) as error:
        raise StoreError(f"the samples of a record cannot be read: {error}") from None


def _from_rows(rows: pa.Table) -> Samples:
    n = len(rows)
    labels = None
    if rows["label"].null_count == 0:
        matrix = pc.list_flatten(rows["label"]).to_numpy().reshape(n, -1).astype(np.int64)
        labels = matrix[:, 0] if matrix.shape[1] == 1 else matrix
    groups = None if rows["group"].null_count else rows["group"].to_numpy(zero_copy_only=False).astype(str)
    logits = pc.list_flatten(rows["logits"]).to_numpy().reshape(n, -1)
    more = None
    if rows["more_logits"].null_count == 0 and n:
        more = pc.list_flatten(rows["more_logits"]).to_numpy().reshape(n, -1, logits.shape[1])
    return Samples(
        rows["sample"].to_numpy(zero_copy_only=False).astype(str),
        groups,
        labels,
        logits,
        rows["l2"].to_numpy(),
        rows["linf"].to_numpy(),
        more,
        *(
            None if rows[name].null_count == n else rows[name].to_numpy()
            for name in ("clean_score", "score", "l1", "l0")
        ),
    )


def by_record(rows: pa.Table, wanted: Collection[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
    """Runs of equal record, in the order of a file; the samples of a record stand together."""
    if not len(rows):
        return
    column = rows["record"].combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    codes, names = column.indices.to_numpy(), column.dictionary.to_pylist()
    bounds = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    for start, stop in itertools.pairwise(bounds):
        record = names[codes[start]]
        if wanted is None or record in wanted:
            yield record, rows.slice(start, stop - start)


def _optional(values: NDArray[Any] | None, n: int, kind: pa.DataType) -> pa.Array:
    """Numbers that not every record has, null where there are none."""
    return pa.nulls(n, kind) if values is None else pa.array(values, kind, from_pandas=True)


def _lists(matrix: NDArray[Any], kind: pa.DataType) -> pa.ListArray:
    """A matrix as a list column, without a Python object per row."""
    n, width = matrix.shape
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * width)
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(matrix).reshape(-1), kind))
