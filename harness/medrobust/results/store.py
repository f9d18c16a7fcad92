"""The store: tables of Parquet and tensors, one file for every finished step, and what they say together."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from torch import Tensor

from ..errors import LostError, PlaceError, StoreError
from .compaction import ABOVE, compact, latest_requests
from .files import Damaged, Files
from .lost import first_there, mark_lost, outdated
from .marker import CONTENT, MARKER, check_marker, read_marker
from .objects import Objects, objects_at, vanished
from .places import absolute
from .record import Record
from .samples import Samples, from_rows, to_rows
from .schema import KEYS, TABLES
from .tables import Tables
from .tensors import Tensors


@dataclass(frozen=True)
class StepRecord:
    """What a finished step writes: a row per cell, and the samples of those that are ok."""

    step: str
    cells: Sequence[Mapping[str, Any]]
    samples: Mapping[str, Samples] = field(default_factory=dict)


class Store:
    """Results of runs at one place.

    What is damaged or gone counts as absent, with all that rests on it; see `files` and `lost`.

    Args:
        path: the directory, made when first written to; or a URL that fsspec knows (`s3://bucket/store`).
        objects: how it is read and written, if not as files.

    Raises:
        StoreError: if the directory holds something else or a store of another schema version.
    """

    def __init__(self, path: str | PathLike[str], objects: Objects | None = None) -> None:
        self.path = absolute(path)
        self.objects = objects or objects_at(self.path, MARKER)
        self.files = Files(self.objects)
        self.tables = Tables(self.files)
        self.tensors = Tensors(self.files)
        self._found = check_marker(self.files, str(self.path))

    @property
    def exists(self) -> bool:
        return read_marker(self.objects) is not None

    @property
    def damaged(self) -> Sequence[Damaged]:
        """Files that were found damaged since this store was opened."""
        return self.files.damaged

    def create(self) -> Store:
        """Make the directory, if it is not there."""
        if not self.exists:
            self.objects.write(MARKER, CONTENT.encode())
        return self

    def require(self, *, anew: bool = False) -> Store:
        """Make sure that it is there, when it was opened or (`anew`) now: a run makes its store once.

        Raises:
            PlaceError: if it is not.
        """
        if not (self._found and not anew) and not self.exists:
            raise vanished(self.path)
        return self

    # Writing ---------------------------------------------------------------------------------------------------------

    def write_step(self, record: StepRecord) -> None:
        """Write a finished step: samples first, so that a cell that is there has its samples."""
        name = f"{record.step}-{_digest(*(str(c['cell']) for c in record.cells))[:12]}"
        keys = {str(row["cell"]): _record_key(row) for row in record.cells if row["cell"] in record.samples}
        if keys:
            samples = [to_rows(key, record.samples[cell]) for cell, key in keys.items()]
            self.tables.write("samples", name, pa.concat_tables(samples))
        rows = [{**row, "samples": keys.get(str(row["cell"]))} for row in record.cells]
        try:
            self.write_rows("cells", name, rows)
        except PlaceError:
            # Samples without their cell would count as what is left of one. A twin of this run may have written it.
            if not self.tables.names("cells", name):
                with suppress(StoreError):
                    for found in self.tables.names("samples", name):
                        self.objects.remove(found.name)
            raise

    def write_rows(self, table: str, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows of a table as one file, in place of an earlier one of that name."""
        self.tables.write(table, name, pa.Table.from_pylist([dict(row) for row in rows], schema=TABLES[table]))

    def save_tensors(self, tensors: Mapping[str, Tensor]) -> str:
        """Write tensors under their content hash and return it."""
        return self.tensors.save(tensors)

    def compact(self, *, above: int = ABOVE) -> None:
        """Join the small files of each table that has many."""
        compact(self.tables, above=above)

    # Cells -----------------------------------------------------------------------------------------------------------

    def cells(self, columns: list[str] | None = None) -> pd.DataFrame:
        """One row per cell: the latest that is ok, else the latest. A cell that lost its record is `missing`."""
        read = TABLES["cells"].names if columns is None else [*columns, "cell", "status", "created"]
        read = list(dict.fromkeys(read))
        rows = self._marked([*read, *({"samples", "made_from"} - set(read))])
        frame: pd.DataFrame = rows.select(read).to_pandas()
        frame["_ok"] = frame["status"] == "ok"
        frame = frame.sort_values(["_ok", "created"], kind="stable").drop_duplicates("cell", keep="last")
        return frame.drop(columns="_ok").set_index("cell", drop=False).sort_index()

    def _marked(self, columns: list[str]) -> pa.Table:
        # Cells first: a row that is there by now has had its samples and weights before.
        rows = self.tables.read("cells", columns)
        return mark_lost(rows, self.tables.records(), {**self.fitted(), **self._artifacts()})

    def finished(self) -> set[str]:
        """Cells that need not be computed again: those with a verdict. Failed and lost ones are tried again."""
        rows = self._marked(["cell", "status", "samples", "made_from"])
        return set(rows.filter(pc.is_in(rows["status"], pa.array(["ok", "invalid"])))["cell"].to_pylist())

    def samples(self, cells: Collection[str]) -> Iterator[tuple[str, Samples]]:
        """Samples of those of the given cells that are ok, file by file, so that no more than one is in memory."""
        frame = self.cells(["samples"])
        return self._samples(frame[frame["status"] == "ok"]["samples"].to_dict(), cells)

    def _samples(self, keys: Mapping[Hashable, Any], cells: Iterable[str]) -> Iterator[tuple[str, Samples]]:
        cell_of = {key: cell for cell in cells if isinstance(key := keys.get(cell), str)}
        for key, rows in self.tables.samples(cell_of):
            yield cell_of[key], from_rows(rows)

    def records(self, cells: Collection[str]) -> Iterator[tuple[str, Record]]:
        """Records of the given cells that are ok, each joined with its clean record; order is the store's."""
        frame = self.cells(["task", "clean", "target_class", "stop", "norm", "samples"])
        frame = frame[frame["status"] == "ok"]
        wanted = [c for c in cells if c in frame.index]
        keys = frame["samples"].to_dict()
        details = frame.loc[wanted, ["task", "clean", "target_class", "stop", "norm"]].to_dict("index")
        clean = dict(self._samples(keys, {row["clean"] for row in details.values()}))
        for cell, samples in self._samples(keys, wanted):
            facts = details[cell]
            base = clean.get(facts["clean"])
            if base is None or not np.array_equal(base.ids, samples.ids):
                continue
            target = facts["target_class"]
            labels = samples.labels
            if labels is not None and facts["task"] == "multilabel":
                labels = labels.reshape(len(labels), -1)
            yield (
                cell,
                Record(
                    facts["task"],
                    samples.ids,
                    labels,
                    base.logits,
                    samples.logits,
                    samples.l2,
                    samples.linf,
                    samples.groups,
                    None if target is None or np.isnan(target) else int(target),
                    facts["stop"] != "success",
                    base.more_logits,
                    samples.more_logits,
                    samples.clean_scores,
                    samples.scores,
                    samples.l1,
                    samples.l0,
                    facts["norm"] if isinstance(facts["norm"], str) else None,
                ),
            )

    # Weights, perturbations and the rest ----------------------------------------------------------------------------

    def fitted(self) -> dict[str, str]:
        """Content hash of the weights of every model fitted so far, as far as the weights are there."""
        return self._fits()

    def weights_of(self, fit: str) -> str | None:
        """Content hash of the weights of one fit; None if they are not there."""
        return self._fits(fit).get(fit)

    def _fits(self, fit: str | None = None) -> dict[str, str]:
        return self._contents("fits", "weights", self.tables.read("fits", ["fit", "weights", "created"], key=fit))

    def artifacts(self) -> set[str]:
        """Identities of the perturbations, and of what probes measured, that are there."""
        return set(self._artifacts())

    def artifact(self, identity: str) -> str:
        """Content hash of an artifact.

        Raises:
            LostError: if it is not there.
        """
        content = self._artifacts(identity).get(identity)
        if content is None:
            raise LostError(f"{self.path}: artifact {identity} is not there; run the grid again to compute it anew")
        return content

    def _artifacts(self, identity: str | None = None) -> dict[str, str]:
        rows = self.tables.read("artifacts", ["artifact", "content", "created", "made_from"], key=identity)
        if len(rows):
            rows = rows.filter(pc.invert(outdated(rows["made_from"], self.fitted())))
        return self._contents("artifacts", "content", rows)

    def _contents(self, table: str, column: str, rows: pa.Table) -> dict[str, str]:
        if not len(rows):
            return {}
        columns = (rows[KEYS[table]], rows[column], pc.cast(rows["created"], pa.string()).fill_null(""))
        there = self.tensors.contents()
        return first_there(zip(*(each.to_pylist() for each in columns), strict=True), there)

    def load_tensors(self, content: str) -> dict[str, Tensor]:
        """The tensors of a content hash.

        Raises:
            LostError: if they are not there, or damaged and now set aside.
        """
        return self.tensors.load(content)

    def rows(self, table: str) -> pd.DataFrame:
        """All rows of `fits`, `parts`, `artifacts` or `evidence`; of several with one key, that which counts."""
        frame: pd.DataFrame = self.tables.read(table).to_pandas()
        chosen = {"fits": self.fitted, "artifacts": self._artifacts}.get(table)
        if chosen is not None:
            column = "weights" if table == "fits" else "content"
            frame = frame[frame[column] == frame[KEYS[table]].map(chosen()).fillna(frame[column])]
        keys = {"parts": ["part", "class"], "evidence": ["target", "part", "norm", "check"]}.get(table) or [KEYS[table]]
        return frame.drop_duplicates(keys, keep="last", ignore_index=True)

    def parts(self) -> set[str]:
        """Identities of the parts of data sets that are described."""
        return set(self.tables.read("parts", ["part"])["part"].to_pylist())

    def has_part(self, part: str) -> bool:
        """Whether it is recorded what a slice holds."""
        return part in set(self.tables.read("parts", ["part"], key=part)["part"].to_pylist())

    def requests(self) -> pd.DataFrame:
        """What runs asked for, a row for each combination, in the order of grids; an equal request stands once."""
        frame: pd.DataFrame = latest_requests(self.tables.read("requests")).to_pandas()
        return frame.sort_values(["created", "request", "position"], ignore_index=True)


def _record_key(row: Mapping[str, Any]) -> str:
    """Under which the samples of a cell are kept: another one wherever it was computed from other weights."""
    made_from = row.get("made_from")
    return f"{row['cell']}.{_digest(*made_from)[:8]}" if made_from else str(row["cell"])


def cell_of_record(key: str) -> str:
    """The cell whose samples are kept under a key."""
    return key.partition(".")[0]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
