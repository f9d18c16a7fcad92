"""Looking at the tables and tensors of a stranger before they are read: neither may fill the memory."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open

from ..errors import LostError, StoreError
from .footer import columns_in
from .losses import check_files
from .objects import Found
from .schema import ADDED, TABLES
from .store import Store

MOST_ROWS: Final = {"samples": 20_000_000}
"""Rows of all files of a table."""
OTHER_ROWS: Final = 500_000
MOST_VALUES: Final = 1_000_000_000
"""Numbers and texts in all files; a column of equal values packs any number of them into a few bytes."""
MOST_BYTES: Final = 32 * 10**9
"""Bytes of all files as their ends declare them, before compression."""
_FILE_ROWS: Final = 2_000_000
"""Rows of one file, which is read as a whole."""


def check_tables(store: Store, where: Path) -> None:
    """Hash every file of a stranger's store, and hold what each table declares against what a store has.

    Args:
        store: unpacked from an archive.
        where: the archive, for messages.

    Raises:
        StoreError: if a file is damaged or changed, is no table of a store, or would not fit into memory.
    """
    values = size = 0
    for table, schema in TABLES.items():
        rows = 0
        for found in store.tables.names(table):
            try:
                data = store.objects.read(found.name)
                about = pq.read_metadata(pa.BufferReader(data))
                names = about.schema.to_arrow_schema().names
                columns = columns_in(data)
                same = [*names, *(n for n in ADDED.get(table, ()) if n not in names)] == schema.names
            except (pa.ArrowException, OSError, ValueError) as error:
                raise StoreError(f"{where}: {found.name} is no Parquet file: {str(error).splitlines()[0]}") from None
            if not same:
                raise StoreError(f"{where}: {found.name} has other columns than the table '{table}' of a store")
            rows += about.num_rows
            values += sum(column.values for column in columns)
            size += sum(column.size for column in columns)
            most = MOST_ROWS.get(table, OTHER_ROWS)
            if rows > most or about.num_rows > _FILE_ROWS or values > MOST_VALUES or size > MOST_BYTES:
                raise StoreError(
                    f"{where}: the table '{table}' declares {rows} rows and all tables {values} values, "
                    f"{size / 1e9:.1f} GB, more than is read; what is meant so is submitted in parts (--where)"
                )
    check_files(store)
    if store.damaged:
        named = ", ".join(f"{each.name} ({each.why})" for each in store.damaged[:3])
        raise StoreError(f"{where}: {len(store.damaged)} of its files damaged or changed: {named}")
    for table in TABLES:
        for found in store.tables.names(table):
            _read(store, table, found, where)
    for found in store.tensors.names():
        try:
            with safe_open(store.path / found.name, framework="np"):
                pass  # its header is read, and held against the length of the file
        except (SafetensorError, OSError) as error:
            raise StoreError(f"{where}: {found.name} is no safetensors file: {error}") from None


def _read(store: Store, table: str, found: Found, where: Path) -> None:
    """Read a file of a table and look at every value: texts are text, lists end where they say, keys are there."""
    try:
        rows = store.tables.read_file(table, found)
        rows.validate(full=True)
    except (pa.ArrowException, LostError) as error:
        raise StoreError(f"{where}: {found.name} cannot be read: {str(error).splitlines()[0]}") from None
    if absent := [field.name for field in rows.schema if not field.nullable and rows[field.name].null_count]:
        raise StoreError(f"{where}: {found.name} has rows without {absent[0]}")
