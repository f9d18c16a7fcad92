"""The baseline: a store with the records that later ones are compared with. It needs no weights, so it stays small."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa

from ..contracts import AXES
from ..engine.requests import write_request
from ..errors import StoreError
from ..grid.plan import Entry, Plan
from ..results.excerpt import table_of
from ..results.record import Record
from ..results.schema import TABLES
from ..results.store import Store


class Baseline:
    """A store that is read, or written cell by cell.

    A cell is found by the name of its grid and its labels, whatever model, code or weights stand behind these now.

    Args:
        path: its directory.
    """

    def __init__(self, path: Path) -> None:
        self.store = Store(path)

    @property
    def path(self) -> Path:
        return self.store.path

    @cached_property
    def _asked(self) -> pd.DataFrame:
        return self.store.requests()

    def record(self, plan: Plan, entry: Entry) -> Record | None:
        """What stands under the labels of an entry, as last asked for; None if there is nothing.

        Raises:
            StoreError: if there is no store.
        """
        if not self.store.exists:
            raise StoreError(f"{self.path}: no store; --medrobust-update-baseline makes it")
        rows = self._asked
        mine = (rows["grid"] == plan.title) & rows["cell"].notna() & (rows["tags"] == json.dumps(dict(entry.tags)))
        for axis, label in zip(AXES, entry.labels, strict=True):
            mine &= rows[axis].fillna("") == label
        cells = rows.loc[mine, "cell"].tolist()
        return dict(self.store.records(cells[-1:])).get(cells[-1]) if cells else None

    def write(self, plan: Plan, entry: Entry, store: Store) -> None:
        """Put the record of an entry, with its clean one, under its labels."""
        cell = entry.cell
        assert cell is not None
        self.store.create()
        frame = store.cells()
        rows = frame[frame["cell"].isin([cell.id, cell.clean_id])]
        samples = [part for _, part in store.tables.samples(rows["samples"].dropna().tolist())]
        self.store.tables.write("samples", cell.id, pa.concat_tables(samples))
        self.store.tables.write("cells", cell.id, table_of(rows, TABLES["cells"]))
        write_request(Plan(plan.name, plan.profile, (entry,)), self.store)
