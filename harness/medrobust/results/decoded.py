"""How much memory a Parquet file takes when it is read, told before it is taken.

Of equal values any number packs into a few bytes, and one long text may stand for every row: neither the size of a file
nor what its end declares is a bound.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .footer import BYTE_ARRAY, columns_in

RATIO: Final = 200
"""Bytes in memory for one of a file at most."""
SMALLEST: Final = 256 * 2**20
"""Bytes in memory that any file may take."""
_WIDEST: Final = 8
"""Bytes of one number."""


def refuse_endless(data: bytes, file: pq.ParquetFile) -> None:
    """Look at how much there is to decode, and at the texts as a dictionary of them where they could be too many.

    Raises:
        ValueError: if reading the file would take far more memory than its size tells.
    """
    most = max(SMALLEST, RATIO * len(data))
    numbers = texts = 0
    paths = set()
    for column in columns_in(data):
        numbers += column.values * _WIDEST
        if column.physical_type == BYTE_ARRAY:
            # No text is longer than all that the column holds.
            texts += column.values * column.size
            paths.add(".".join(column.path))
    if numbers <= most and numbers + texts > most:
        found = pq.ParquetFile(pa.BufferReader(data), read_dictionary=sorted(paths))
        names = [name for name in found.schema_arrow.names if any(p.partition(".")[0] == name for p in paths)]
        texts = sum(map(_length, found.read(columns=names).columns))
    if (size := numbers + texts) > most:
        raise ValueError(
            f"its {file.metadata.num_rows} rows take up to {size / 1e9:.1f} GB, which no run writes as so little"
        )


def _length(column: pa.ChunkedArray) -> int:
    """Bytes of the texts of a column, each as often as it stands there."""
    total = 0
    for chunk in column.chunks:
        while pa.types.is_list(chunk.type):
            chunk = chunk.flatten()
        if pa.types.is_dictionary(chunk.type):
            lengths = pc.binary_length(chunk.dictionary).take(chunk.indices)
            total += pc.sum(pc.cast(lengths, pa.int64())).as_py() or 0
        else:
            total += chunk.nbytes
    return total
