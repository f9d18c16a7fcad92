"""The store: a directory of Parquet tables and safetensors, one atomic file per finished step."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import safetensors.torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import StoreError
from ..lru import Kept
from .files import TEMPORARY, write_atomic, write_text
from .record import Record
from .schema import KEYS, TABLES, VERSION

COMPACT_ABOVE = 48
"""A table of more small files than this is compacted at the end of a run."""
SMALL = 32 * 2**20
"""Bytes from which compaction leaves a file alone: joining it again after every run would cost more than it gains."""
KEPT = 256 * 2**20
"""Bytes of tables as read that are kept in memory: a report reads the same records for tables, figures and claims."""


@dataclass(frozen=True)
class Samples:
    """What one cell left per image, in the order of its part; fields as in :class:`Record`."""

    ids: NDArray[np.str_]
    groups: NDArray[np.str_] | None
    labels: NDArray[np.int64] | None
    logits: NDArray[np.float32]
    l2: NDArray[np.float32]
    linf: NDArray[np.float32]
    more_logits: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class StepRecord:
    """What a finished step writes: a row per cell, and the samples of those that are ok."""

    step: str
    cells: Sequence[Mapping[str, Any]]
    samples: Mapping[str, Samples] = field(default_factory=dict)


class Store:
    """Results of runs at one place.

    Args:
        path: the directory; made when first written to.

    Raises:
        StoreError: if the directory holds something else or a store of another schema version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tables: Kept[pa.Table] = Kept(KEPT, lambda table: int(table.nbytes))
        marker = path / "store.json"
        if path.exists() and not path.is_dir():
            raise StoreError(f"{path}: is a file, not a store")
        if marker.exists():
            try:
                version = json.loads(marker.read_text(encoding="utf-8")).get("schema")
            except (ValueError, AttributeError):
                raise StoreError(f'{marker}: is damaged; put back {{"schema": {VERSION}}} if this is a store') from None
            if version != VERSION:
                raise StoreError(f"{path}: store of schema {version}, this program reads schema {VERSION}")
        elif path.exists() and any(path.iterdir()):
            raise StoreError(f"{path}: holds other files and no store; choose another --store")

    @property
    def exists(self) -> bool:
        return (self.path / "store.json").exists()

    def create(self) -> Store:
        """Make the directory, if it is not there."""
        if not self.exists:
            write_text(self.path / "store.json", json.dumps({"schema": VERSION}))
        return self

    # Tables ----------------------------------------------------------------------------------------------------------

    def files(self, table: str) -> list[Path]:
        """The Parquet files of a table, without what a killed write left."""
        return sorted(f for f in (self.path / table).glob("*.parquet") if not f.name.startswith(TEMPORARY))

    def _write(self, table: str, name: str, rows: pa.Table) -> None:
        # Uncompressed floats and short dictionaries write as fast as the disk; zstd halves them at no visible cost.
        write_atomic(self.path / table / f"{name}.parquet", lambda p: pq.write_table(rows, p, compression="zstd"))

    def _read(self, table: str, columns: list[str] | None = None) -> pa.Table:
        tables = [self.read_file(table, f, columns) for f in self.files(table)]
        if not tables:
            schema = TABLES[table]
            return (pa.schema([schema.field(c) for c in columns]) if columns else schema).empty_table()
        return pa.concat_tables(tables)

    def read_file(self, table: str, file: Path, columns: list[str] | None = None) -> pa.Table:
        """One file of a table, or some of its columns.

        Raises:
            StoreError: if it is damaged or gone.
        """
        try:
            known = file.stat()
        except OSError as error:
            raise StoreError(f"{file}: cannot be read ({error.strerror or error}); run again") from None
        key = (file, known.st_mtime_ns, known.st_size, None if columns is None else tuple(columns))
        return self._tables.get(key, lambda: _read_file(file, TABLES[table], columns))

    def write_step(self, record: StepRecord) -> None:
        """Write a finished step: samples first, so that a cell that is there has its samples."""
        name = f"{record.step}-{_digest(*(str(c['cell']) for c in record.cells))}"
        if record.samples:
            rows = pa.concat_tables([_sample_rows(cell, s) for cell, s in record.samples.items()])
            self._write("samples", name, rows.unify_dictionaries())
        self._write("cells", name, pa.Table.from_pylist([dict(c) for c in record.cells], schema=TABLES["cells"]))

    def write_rows(self, table: str, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows of `fits`, `parts` or `artifacts` as one file."""
        self._write(table, name, pa.Table.from_pylist([dict(r) for r in rows], schema=TABLES[table]))

    def cells(self, columns: list[str] | None = None) -> pd.DataFrame:
        """One row per cell: the latest that is ok, else the latest."""
        wanted = None if columns is None else list(dict.fromkeys([*columns, "cell", "status", "created"]))
        frame: pd.DataFrame = self._read("cells", wanted).to_pandas()
        frame["_ok"] = frame["status"] == "ok"
        frame = frame.sort_values(["_ok", "created"], kind="stable").drop_duplicates("cell", keep="last")
        return frame.drop(columns="_ok").set_index("cell", drop=False).sort_index()

    def rows(self, table: str) -> pd.DataFrame:
        """All rows of `fits`, `parts` or `artifacts`, the latest per key where there are several."""
        frame: pd.DataFrame = self._read(table).to_pandas()
        keys = {"parts": ["part", "class"], "evidence": ["target", "part", "norm", "check"]}.get(table) or [KEYS[table]]
        return frame.drop_duplicates(keys, keep="last", ignore_index=True)

    def finished(self) -> set[str]:
        """Cells that need not be computed again: those with a verdict. Failed ones are tried again."""
        table = self._read("cells", ["cell", "status"])
        return set(table.filter(pc.is_in(table["status"], pa.array(["ok", "invalid"])))["cell"].to_pylist())

    def fitted(self) -> dict[str, str]:
        """Content hash of the weights of every model fitted so far, as far as the weights are there."""
        table = self._read("fits", ["fit", "weights"])
        pairs = zip(table["fit"].to_pylist(), table["weights"].to_pylist(), strict=True)
        return {fit: content for fit, content in pairs if self.blob(content).exists()}

    def artifacts(self) -> set[str]:
        """Identities of the perturbations and of what probes measured."""
        return set(self._read("artifacts", ["artifact"])["artifact"].to_pylist())

    def requests(self) -> pd.DataFrame:
        """What runs asked for, a row for each combination, in the order of grids; an equal request stands once."""
        frame: pd.DataFrame = _latest_requests(self._read("requests")).to_pandas()
        return frame.sort_values(["created", "request", "position"], ignore_index=True)

    def has_part(self, part: str) -> bool:
        """Whether what a slice holds is recorded in a file of its own."""
        return (self.path / "parts" / f"{part}.parquet").exists()

    def weights_of(self, fit: str) -> str | None:
        """Content hash of the weights of one fit, by the one file it wrote; None if it is not there."""
        file = self.path / "fits" / f"{fit}.parquet"
        if file.exists():
            return str(self.read_file("fits", file, ["weights"])["weights"][0].as_py())
        return self.fitted().get(fit)

    def artifact(self, identity: str) -> str:
        """Content hash of an artifact.

        Raises:
            StoreError: if it is not there.
        """
        file = self.path / "artifacts" / f"{identity}.parquet"
        rows = self.read_file("artifacts", file) if file.exists() else self._read("artifacts")
        table = dict(zip(rows["artifact"].to_pylist(), rows["content"].to_pylist(), strict=True))
        if identity not in table:
            raise StoreError(f"{self.path}: artifact {identity} is missing; run again")
        return str(table[identity])

    # Tensors ---------------------------------------------------------------------------------------------------------

    def blob(self, content: str) -> Path:
        """The file of the tensors with this content hash, whether it is there or not."""
        return self.path / "tensors" / f"{content}.safetensors"

    def save_tensors(self, tensors: Mapping[str, Tensor]) -> str:
        """Write tensors under their content hash and return it."""
        data = safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
        content = hashlib.sha256(data).hexdigest()[:32]
        if not self.blob(content).exists():
            write_atomic(self.blob(content), lambda p: _write_bytes(p, data))
        return content

    def load_tensors(self, content: str) -> dict[str, Tensor]:
        """The tensors of a content hash.

        Raises:
            StoreError: if they are missing or damaged.
        """
        file = self.blob(content)
        try:
            data = file.read_bytes()
        except OSError:
            raise StoreError(f"{file}: missing; delete the rows that need it or run again") from None
        if hashlib.sha256(data).hexdigest()[:32] != content:
            raise StoreError(f"{file}: damaged (its content does not match its name); delete it and run again")
        return dict(safetensors.torch.load(data))

    # Records ---------------------------------------------------------------------------------------------------------

    def samples(self, cells: Collection[str]) -> Iterator[tuple[str, Samples]]:
        """Samples of the given cells, file by file, so that no more than one file is in memory."""
        missing = set(cells)
        for file in self.files("samples"):
            if not missing:
                return
            for cell, rows in _split_by_cell(self.read_file("samples", file), missing):
                missing.discard(cell)
                yield cell, _samples(rows)

    def records(self, cells: Collection[str]) -> Iterator[tuple[str, Record]]:
        """Records of the given cells that are ok, each joined with its clean record; order is the store's."""
        frame = self.cells(["task", "clean", "target_class", "status", "stop"])
        frame = frame[frame["status"] == "ok"]
        wanted = [c for c in cells if c in frame.index]
        clean_of = frame.loc[wanted, "clean"].to_dict()
        clean = dict(self.samples(set(clean_of.values())))
        details = frame.loc[wanted, ["task", "target_class", "stop"]].to_dict("index")
        for cell, samples in self.samples(wanted):
            base = clean.get(clean_of[cell])
            if base is None or not np.array_equal(base.ids, samples.ids):
                continue
            target = details[cell]["target_class"]
            labels = samples.labels
            if labels is not None and details[cell]["task"] == "multilabel":
                labels = labels.reshape(len(labels), -1)
            yield (
                cell,
                Record(
                    details[cell]["task"],
                    samples.ids,
                    labels,
                    base.logits,
                    samples.logits,
                    samples.l2,
                    samples.linf,
                    samples.groups,
                    None if target is None or np.isnan(target) else int(target),
                    details[cell]["stop"] != "success",
                    base.more_logits,
                    samples.more_logits,
                ),
            )

    # Upkeep ----------------------------------------------------------------------------------------------------------

    def compact(self, *, above: int = COMPACT_ABOVE) -> None:
        """Join the small files of each table that has many; a kill in between leaves rows twice, which is forgiven."""
        for table in TABLES:
            files = [f for f in self.files(table) if f.stat().st_size < SMALL]
            if len(files) <= above:
                continue
            seen: set[str] = set()
            kept = []
            for file in reversed(files):
                rows = _read_file(file, TABLES[table])
                if table == "samples":
                    fresh = [(c, r) for c, r in _split_by_cell(rows, None) if c not in seen]
                    seen |= {c for c, _ in fresh}
                    kept += [r for _, r in fresh]
                else:
                    kept.append(rows)
            joined = pa.concat_tables(kept)
            joined = _latest_requests(joined) if table == "requests" else joined
            joined = joined.unify_dictionaries() if table == "samples" else joined
            name = f"compact-{_digest(*(f.name for f in files))}"
            self._write(table, name, joined)
            for file in files:
                with contextlib.suppress(FileNotFoundError):
                    file.unlink()


def _latest_requests(rows: pa.Table) -> pa.Table:
    """Rows of each request from the last time it was made."""
    frame = rows.select(["request", "position", "created"]).to_pandas()
    latest = frame["created"] == frame.groupby("request", sort=False)["created"].transform("max")
    return rows.filter(pa.array(latest & ~frame.duplicated(["request", "position", "created"])))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _read_file(file: Path, schema: pa.Schema, columns: list[str] | None = None) -> pa.Table:
    try:
        table = pq.read_table(file, columns=columns, partitioning=None)
        wanted = pa.schema([schema.field(c) for c in columns]) if columns else schema
        return table.select(wanted.names).cast(wanted)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise StoreError(f"{file}: damaged ({str(error).splitlines()[0]}); delete it and run again") from None


def _sample_rows(cell: str, samples: Samples) -> pa.Table:
    n = len(samples.ids)
    labels: pa.Array
    if samples.labels is None:
        labels = pa.nulls(n, pa.list_(pa.int32()))
    else:
        labels = _lists(samples.labels.reshape(n, -1).astype(np.int32), pa.int32())
    return pa.table(
        {
            "cell": pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, dtype=np.int32)), pa.array([cell])),
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
        },
        schema=TABLES["samples"],
    )


def _lists(matrix: NDArray[Any], kind: pa.DataType) -> pa.ListArray:
    """A matrix as a list column, without a Python object per row."""
    n, width = matrix.shape
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * width)
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(matrix).reshape(-1), kind))


def _split_by_cell(rows: pa.Table, wanted: Collection[str] | None) -> Iterator[tuple[str, pa.Table]]:
    """Runs of equal cell, in file order; a cell's samples stand together."""
    if not len(rows):
        return
    column = rows["cell"].combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    codes, names = column.indices.to_numpy(), column.dictionary.to_pylist()
    bounds = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    for start, stop in itertools.pairwise(bounds):
        cell = names[codes[start]]
        if wanted is None or cell in wanted:
            yield cell, rows.slice(start, stop - start)


def _samples(rows: pa.Table) -> Samples:
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
    )
