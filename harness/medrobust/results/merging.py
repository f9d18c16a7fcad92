"""Putting stores together: what the first of them has is kept, and whatever of the others contradicts it is left out.

Rows and tensors go in the order in which a run writes them, so that a kill leaves a store that is whole; the same call
then goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from .agreement import compare_samples
from .excerpt import ROWS, table_of
from .files import Damaged
from .publication import named_as
from .samples import Samples, to_rows
from .schema import TABLES
from .store import Store
from .tables import JOINED
from .tensors import name_of

STEM: Final = f"{JOINED}merged"
BATCH: Final = 200
"""Cells whose records are compared at once."""

Why = Literal["other weights", "other images", "lost"]
"""Why cells of a store are left out: they were computed with other weights or perturbations than the same cells of an
earlier store rest on; their images or labels are others though they are called alike; their record is lost."""


@dataclass
class Added:
    """What became of one store.

    Attributes:
        name: what it is called.
        cells: how many it has.
        new: cells that were taken.
        same: cells that an earlier store has with the same result, up to rounding.
        conflicts: cells that an earlier store has with another result, with the difference; the earlier one stays.
        left_out: how many cells were left out, and why.
        named: images that were told as hashes and are the ones of an earlier store: parts of data sets.
        grids: grids that were given another name, as an earlier store has another one of that name.
        damaged: files of the store that are damaged.
    """

    name: str
    cells: int = 0
    new: int = 0
    same: int = 0
    conflicts: dict[str, str] = field(default_factory=dict)
    left_out: Counter[Why] = field(default_factory=Counter)
    named: set[str] = field(default_factory=set)
    grids: list[str] = field(default_factory=list)
    damaged: Sequence[Damaged] = ()


def merge(stores: Iterable[tuple[str, Store]], out: Store) -> list[Added]:
    """Add stores to one, in their order; what it has already counts as the first.

    Args:
        stores: each with its name. Nothing is written to them, but damaged files are set aside as by any reading.
        out: where they go; made if it is not there.

    Raises:
        StoreError: if it cannot be written.
    """
    out.create()
    return [_Addition(name, store, out).add() for name, store in stores]


class _Addition:
    def __init__(self, name: str, store: Store, out: Store) -> None:
        self.store = store
        self.out = out
        self.told = Added(name)
        self._first: dict[str, Samples | None] = {}
        self._alike: set[str] = set()
        """Parts that both describe."""

    def add(self) -> Added:
        frame = self.store.cells()
        self.told.cells = len(frame)
        lost = frame["status"] == "missing"
        self.told.left_out["lost"] += int(lost.sum())
        frame = frame[~lost]
        others = self._parts_with_other_images()
        self._weights()
        frame = self._leave_out(frame, frame["part"].isin(others), "other images")
        frame = self._leave_out(frame, self._rests_on_others(frame), "other weights")
        new = self._judged(frame)
        new = self._samples(new)
        self._write("cells", new)
        self.told.new = len(new)
        self._evidence()
        self._requests()
        self.told.damaged = tuple(self.store.damaged)
        self.told.left_out += Counter()  # drops what is 0
        return self.told

    def _leave_out(self, frame: pd.DataFrame, mask: pd.Series[bool], why: Why) -> pd.DataFrame:
        self.told.left_out[why] += int(mask.sum())
        return frame[~mask]

    def _parts_with_other_images(self) -> set[str]:
        """Copy descriptions of parts; parts that an earlier store describes with other images, ids or labels."""
        mine, there = self.store.rows("parts"), self.out.rows("parts")
        prints = dict(zip(there["part"], there["fingerprint"], strict=True))
        known = mine["part"].isin(prints.keys())
        self._alike = set(mine.loc[known, "part"])
        self._write("parts", mine[~known])
        other = mine[known & (mine["part"].map(prints) != mine["fingerprint"])]
        return set(other["part"])

    def _weights(self) -> None:
        """Copy weights, perturbations and probes that no earlier store has."""
        fits = self.store.rows("fits")
        fits = fits[fits["fit"].isin(self.store.fitted()) & ~fits["fit"].isin(self.out.fitted())]
        self._tensors(fits["weights"])
        self._write("fits", fits)
        artifacts = self.store.rows("artifacts")
        artifacts = artifacts[artifacts["artifact"].isin(self.store.artifacts() - self.out.artifacts())]
        artifacts = artifacts[~self._rests_on_others(artifacts)]
        self._tensors(artifacts["content"])
        self._write("artifacts", artifacts)

    def _rests_on_others(self, frame: pd.DataFrame) -> pd.Series[bool]:
        """Which rows were computed with other content than stands behind the same identities in `out`."""
        artifacts = self.out.rows("artifacts")
        contents = {**self.out.fitted(), **dict(zip(artifacts["artifact"], artifacts["content"], strict=True))}

        def other(made_from: Iterable[str] | None) -> bool:
            pairs = (each.partition("=") for each in (() if made_from is None else made_from))
            return any(contents.get(identity, content) != content for identity, _, content in pairs)

        return frame["made_from"].map(other).astype(bool)

    def _judged(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The cells that no earlier store has; of the others it is told whether their results are the same."""
        there = self.out.cells(["status"])["status"].to_dict()
        status = frame["status"].to_dict()
        has = frame["cell"].map(lambda cell: there.get(cell, "missing"))
        # A failed cell is worth having only where there is nothing; one that failed is worth replacing.
        new = frame[(has == "missing") | ((has == "failed") & (frame["status"] != "failed"))]
        both = sorted(set(frame["cell"]) - set(new["cell"]))
        alike = [cell for cell in both if status[cell] == there[cell] == "ok"]
        multilabel = (frame["task"] == "multilabel").to_dict()
        for cells in _batches(alike):
            mine, earlier = dict(self.store.samples(cells)), dict(self.out.samples(cells))
            for cell in cells:
                found = compare_samples(
                    earlier[cell], named_as(mine[cell], earlier[cell]), multilabel=bool(multilabel[cell])
                )
                if found.degree == "different":
                    self.told.conflicts[cell] = found.detail
        for cell in both:
            if status[cell] != there[cell] and "failed" not in (status[cell], there[cell]):
                self.told.conflicts[cell] = f"{status[cell]}, and {there[cell]} in an earlier store"
        self.told.same = len(both) - len(self.told.conflicts)
        return new

    def _samples(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Copy samples; the cells whose images are those that earlier records of their part have."""
        keys, parts = frame["samples"].to_dict(), frame["part"].to_dict()
        dropped: list[str] = []
        waiting: list[pa.Table] = []
        ok = frame[frame["status"] == "ok"].index
        for cell, samples in self.store.samples(ok):
            first = self._first_of(parts[cell])
            told = samples if first is None else self._as_first(samples, first, parts[cell])
            if told is None:
                dropped.append(cell)
                continue
            if first is None:
                self._first[parts[cell]] = told
            waiting.append(to_rows(str(keys[cell]), told))
            if sum(map(len, waiting)) >= ROWS:
                self._write_table("samples", pa.concat_tables(waiting))
                waiting = []
        if waiting:
            self._write_table("samples", pa.concat_tables(waiting))
        return self._leave_out(frame, frame["cell"].isin(dropped), "other images")

    def _as_first(self, samples: Samples, first: Samples, part: str) -> Samples | None:
        """Samples under the ids that earlier records of their part have; None if they are of other images."""
        told = samples
        if part in self._alike and not np.array_equal(samples.ids, first.ids):
            # Their fingerprints are equal, so the images are, in their order.
            told = named_as(samples, first)
            self.told.named.add(part)
        same = [
            np.array_equal(told.ids, first.ids),
            _equal(told.labels, first.labels),
            _equal(told.groups, first.groups),
        ]
        return told if all(same) else None

    def _first_of(self, part: str) -> Samples | None:
        """A record of a part that is there."""
        if part not in self._first:
            frame = self.out.cells(["part", "status"])
            cells = frame[(frame["part"] == part) & (frame["status"] == "ok")].index[:1]
            self._first[part] = next((samples for _, samples in self.out.samples(cells)), None)
        return self._first[part]

    def _evidence(self) -> None:
        evidence, there = self.store.rows("evidence"), self.out.rows("evidence")
        known = set(zip(there["target"], there["part"], strict=True))
        new = [pair not in known for pair in zip(evidence["target"], evidence["part"], strict=True)]
        self._write("evidence", evidence[pd.Series(new, dtype=bool, index=evidence.index)])

    def _requests(self) -> None:
        """Copy what runs asked for. Two grids of one name stay two: neither then speaks for the other's labels."""
        mine, there = self.store.requests(), self.out.requests()
        for grid in mine["grid"].unique():
            asked, before = (set(rows.loc[rows["grid"] == grid, "request"]) for rows in (mine, there))
            if before and not asked <= before:
                mine.loc[mine["grid"] == grid, "grid"] = f"{self.told.name}/{grid}"
                self.told.grids.append(str(grid))
        self._write("requests", mine[~mine["request"].isin(set(there["request"]))])

    def _write(self, table: str, rows: pd.DataFrame) -> None:
        if len(rows):
            self._write_table(table, table_of(rows, TABLES[table]))

    def _write_table(self, table: str, rows: pa.Table) -> None:
        # Under the hash of its content: the same rows are the same file, and no file takes the place of another.
        self.out.tables.replace(table, STEM, [], rows)

    def _tensors(self, contents: Iterable[str]) -> None:
        for content in dict.fromkeys(contents):
            self.out.objects.write(name_of(content), self.store.files.read(name_of(content)))


def _batches(cells: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(cells), BATCH):
        yield cells[start : start + BATCH]


def _equal(one: object, other: object) -> bool:
    return (one is None) == (other is None) and (one is None or np.array_equal(one, other))  # type: ignore[arg-type]
