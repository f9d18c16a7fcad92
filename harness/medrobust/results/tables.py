"""The Parquet tables of a store: many files each, one for every finished step, joined when there are many."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import LostError, StoreError
from ..lru import Kept
from .decoded import refuse_endless
from .files import Files, content_hash
from .objects import Found
from .samples import by_record
from .schema import ADDED, TABLES, VERSION

T = TypeVar("T")

KEPT = 256 * 2**20
"""Bytes of tables as read that are kept in memory: a report reads the same records for tables, figures and claims."""
WHOLE = 256 * 2**10
"""Bytes up to which a file is read, and so hashed, where its end alone would do."""
JOINED = "compact-"
"""How the names of joined files begin; the others are called after what they hold."""
_ATTEMPTS = 20
"""How often a table is listed again because files of it were joined or set aside in between."""


class Tables:
    """Tables by name, as `TABLES` describes them; a damaged file is set aside, and what was in it is absent."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._kept: Kept[pa.Table] = Kept(KEPT, lambda table: int(table.nbytes))
        self._notes: dict[str, dict[str, str]] = {}

    def names(self, table: str, stem: str = "") -> list[Found]:
        """The files of a table, or those that one name was written under."""
        found = self.files.listing(table, f"{stem}." if stem else "")
        return [each for each in found if each.name.endswith(".parquet")]

    def write(self, table: str, stem: str, rows: pa.Table) -> None:
        """Write rows as one file, in place of those of the same stem."""
        # Listed before the new file is written: of two processes that replace each other's, one always stays.
        self.replace(table, stem, self.names(table, stem), rows)

    def replace(self, table: str, stem: str, older: Iterable[Found], rows: pa.Table) -> None:
        """Write rows as one file, in place of some others."""
        data = _to_parquet(table, rows)
        name = f"{table}/{stem}.{content_hash(data)}.parquet"
        self.files.objects.write(name, data)
        for each in older:
            if each.name != name:
                self.files.objects.remove(each.name)

    def read(self, table: str, columns: list[str] | None = None, *, key: str | None = None) -> pa.Table:
        """All rows of a table; with `key`, those of the files that may hold what was written under that name."""
        found = self._stable(lambda: list(self._holding(table, key)), lambda f: self.read_file(table, f, columns))
        return pa.concat_tables(found) if found else _schema(table, columns).empty_table()

    def _stable(self, listing: Callable[[], list[Found]], read: Callable[[Found], T]) -> list[T]:
        """What each file of a listing gives; listed again where one went in between.

        One that another process has joined stands in that process's file, and one that is damaged is set aside: neither
        is listed any more.
        """
        for _ in range(_ATTEMPTS):
            results, gone = [], False
            for found in listing():
                try:
                    results.append(read(found))
                except LostError:
                    gone = True
            if not gone:
                return results
        raise StoreError("the files of the store change all the time; try again when other runs have ended")

    def _holding(self, table: str, key: str | None) -> Iterator[Found]:
        for found in self.names(table):
            name = found.name.removeprefix(f"{table}/")
            if key is None or name.startswith((f"{key}.", JOINED)):
                yield found

    def read_file(self, table: str, found: Found, columns: list[str] | None = None) -> pa.Table:
        """One file of a table, or some of its columns.

        Raises:
            LostError: if it is damaged, and then set aside, or gone.
        """
        key = (found, None if columns is None else tuple(columns))
        return self._kept.get(key, lambda: self._parse(table, found, columns))

    def _parse(self, table: str, found: Found, columns: list[str] | None) -> pa.Table:
        data = self.files.read(found.name)
        wanted = _schema(table, columns)
        try:
            file = pq.ParquetFile(pa.BufferReader(data))
            refuse_endless(data, file)
            # Threads take longer to meet than a small file takes to read.
            rows = file.read(columns=columns, use_threads=len(data) > WHOLE)
            # Texts that are none, and lists that end elsewhere than they say, would be found wherever they are used.
            rows.validate(full=True)
            for name in ADDED.get(table, ()):
                if name in wanted.names and name not in rows.column_names:
                    rows = rows.append_column(wanted.field(name), pa.nulls(len(rows), wanted.field(name).type))
            _refuse_gaps(rows)
            return rows.select(wanted.names).cast(wanted)
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            raise self.files.set_aside(found.name, str(error).splitlines()[0]) from None

    def records(self) -> set[str]:
        """The keys of all records of which there are samples, by what the files themselves say."""
        return set().union(*self._stable(lambda: self.names("samples"), self._records_in))

    def samples(self, keys: Collection[str]) -> Iterator[tuple[str, pa.Table]]:
        """The rows of the table `samples` of each record, file by file, so that no more than one is in memory."""
        missing = set(keys)
        for _ in range(_ATTEMPTS):
            gone = False
            for found in self.names("samples"):
                try:
                    rows = None if missing.isdisjoint(self._records_in(found)) else self.read_file("samples", found)
                except LostError:
                    gone = True
                    continue
                for key, part in by_record(rows, missing) if rows is not None else ():
                    missing.discard(key)
                    yield key, part
            if not missing or not gone:
                return

    def _records_in(self, found: Found) -> frozenset[str]:
        notes = self.notes(found)
        text = notes.get("records")
        if text is None:
            return frozenset(self.read_file("samples", found, ["record"])["record"].unique().to_pylist())
        if content_hash(text.encode()) != notes.get("records_hash"):
            self.files.read(found.name)
        return frozenset(text.split("\n"))

    def notes(self, found: Found) -> dict[str, str]:
        """What a file says of itself at its end, without the rest of a large one being read or hashed.

        Raises:
            LostError: if it is damaged there.
        """
        if found.name not in self._notes:
            try:
                about = pq.read_metadata(pa.BufferReader(self._end(found))).metadata or {}
                notes = {k.decode(): v.decode() for k, v in about.items() if k.startswith(b"medrobust ")}
            except (pa.ArrowException, OSError, ValueError) as error:
                self.files.read(found.name)
                raise self.files.set_aside(found.name, str(error).splitlines()[0]) from None
            self._notes[found.name] = {k.removeprefix("medrobust "): v for k, v in notes.items()}
        return self._notes[found.name]

    def _end(self, found: Found) -> bytes:
        """The end of a file with all of its metadata, or all of a small file, verified."""
        if found.size <= WHOLE:
            return self.files.read(found.name)
        end = self.files.objects.read(found.name, last=WHOLE)
        length = int.from_bytes(end[-8:-4], "little") + 8
        return end if length <= WHOLE else self.files.objects.read(found.name, last=min(length, found.size))


def stem_of(found: Found) -> str:
    """What a file of a table was written under."""
    return found.name.rpartition("/")[2].partition(".")[0]


def _to_parquet(table: str, rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    rows = rows.unify_dictionaries() if table == "samples" else rows
    # Uncompressed floats and short dictionaries write as fast as the disk; zstd halves them at no visible cost.
    with pq.ParquetWriter(sink, rows.schema, compression="zstd") as writer:
        writer.write_table(rows)
        notes = {"medrobust schema": str(VERSION)}
        if table == "samples":
            text = "\n".join(rows["record"].unique().to_pylist())
            notes |= {"medrobust records": text, "medrobust records_hash": content_hash(text.encode())}
        writer.add_key_value_metadata(notes)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _refuse_gaps(rows: pa.Table) -> None:
    """No list that a run writes has an entry that is none."""
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        if pa.types.is_list(column.type) and pc.list_flatten(column).null_count:
            raise ValueError(f"column {name} has a list with a gap")


def _schema(table: str, columns: list[str] | None) -> pa.Schema:
    schema = TABLES[table]
    return schema if columns is None else pa.schema([schema.field(column) for column in columns])
