"""What is in a store: the state of each cell, and the size of the files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pandas as pd

from ..contracts import AXES
from .current import result_states
from .schema import TABLES
from .store import Store
from .tensors import FOLDER as TENSORS

State = Literal["current", "superseded", "failed", "missing"]
STATES: tuple[State, ...] = ("current", "superseded", "failed", "missing")
COLUMNS = [*AXES, "status", "reason", "slot", "clean", "target", "weights", "perturbation", "part", "samples"]


@dataclass(frozen=True)
class Inventory:
    """The states of the results in a store.

    Attributes:
        cells: the table `cells`, a row for each cell.
        requests: the table `requests`.
        rows: current and superseded results under their labels (see `current.result_states`).
    """

    cells: pd.DataFrame
    requests: pd.DataFrame
    rows: pd.DataFrame

    @classmethod
    def of(cls, store: Store) -> Inventory:
        """Read it from a store."""
        cells, requests = store.cells(COLUMNS), store.requests()
        return cls(cells, requests, result_states(requests, cells))

    @cached_property
    def states(self) -> Mapping[str, State]:
        """The state of each cell; one that broke the rules has its verdict and so is current."""
        status = self.cells["status"].to_dict()
        named = self.rows[self.rows["cell"] != ""]
        current = dict(zip(named["cell"], named["current"], strict=True))
        return {cell: _state(status.get(cell, ""), current=now) for cell, now in current.items()}

    def having(self, *states: State) -> set[str]:
        """The cells in any of these states."""
        return {cell for cell, state in self.states.items() if state in states}

    def counts(self) -> pd.DataFrame:
        """Cells in each state by data set, model and attack, in the order of the grids; each cell counts once."""
        rows = self.rows[self.rows["cell"] != ""].drop_duplicates("cell").copy()
        rows["state"] = pd.Categorical(rows["cell"].map(self.states), categories=STATES)
        defended = rows["defense"] != "none"
        rows.loc[defended, "model"] += " + " + rows.loc[defended, "defense"]
        groups = rows.groupby(["dataset", "model", "attack"], sort=False, observed=False)["state"]
        return groups.value_counts(sort=False).unstack(fill_value=0).reindex(columns=list(STATES), fill_value=0)


def _state(status: str, *, current: bool) -> State:
    if not current:
        return "superseded"
    if status in ("", "missing"):
        return "missing"
    return "failed" if status == "failed" else "current"


def sizes(store: Store) -> dict[str, int]:
    """Bytes of each table and of the tensors."""
    folders = (*TABLES, TENSORS)
    return {name: sum(f.size for f in store.files.listing(name)) for name in folders}
