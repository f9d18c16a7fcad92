"""What a store has lost: found by hashing its files, and by what its tables name and do not hold."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from ..errors import LostError
from .inventory import Inventory
from .schema import TABLES
from .store import Store, cell_of_record


@dataclass(frozen=True)
class Checked:
    """How many files were read and hashed, and of how many bytes."""

    files: int
    bytes: int


def check_files(store: Store) -> Checked:
    """Read and hash every file of a store; the damaged ones are set aside and stand in `store.damaged`."""
    count = size = 0
    for table in TABLES:
        for found in store.tables.names(table):
            count, size = count + 1, size + found.size
            try:
                # Hashed, and where the name has no hash, at least looked into.
                store.files.read(found.name)
                store.tables.notes(found)
            except LostError:
                continue
    for found in store.tensors.names():
        count, size = count + 1, size + found.size
        try:
            store.files.read(found.name)
        except LostError:
            continue
    return Checked(count, size)


@dataclass(frozen=True)
class LostCells:
    """Cells of one attack on one data set that were computed and must be computed again; seconds, if known."""

    dataset: str
    attack: str
    count: int
    seconds: float | None


@dataclass(frozen=True)
class Losses:
    """What is not there of what is current.

    Attributes:
        cells: that were computed before.
        absent: how many cells were asked for and left no trace: never computed, or gone as a whole.
        weights: the models whose weights are gone while cells that were computed with them are there.
        perturbations: how many of them are gone.
        probes: likewise.
        parts: likewise.
        evidence: of how many models it is gone.
        unnamed: cells that no request names any more, so that tables cannot call them as their grid does.
        asked_by: the commands that asked for what is lost, or the names of their grids.
    """

    cells: tuple[LostCells, ...]
    absent: int
    weights: tuple[str, ...]
    perturbations: int
    probes: int
    parts: int
    evidence: int
    unnamed: int
    asked_by: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is known to be lost."""
        others = (self.perturbations, self.probes, self.parts, self.evidence, self.unnamed)
        return not (self.cells or self.weights or any(others))


def losses(store: Store) -> Losses:
    """What a store has lost, as far as its tables say; reads no samples."""
    return _Search(store).losses()


@dataclass
class _Search:
    store: Store

    @cached_property
    def inventory(self) -> Inventory:
        return Inventory.of(self.store)

    @cached_property
    def frame(self) -> pd.DataFrame:
        columns = ["dataset", "model", "defense", "attack", "seconds", "weights", "perturbation", "part", "target"]
        return self.store.cells(columns)

    def losses(self) -> Losses:
        missing = self.inventory.having("missing")
        requests = self.inventory.requests
        traces = set(self.frame.index) | {cell_of_record(key) for key in self.store.tables.records()}
        lost = missing & traces
        there = self.frame[self.frame["cell"].isin(self.inventory.having("current"))]
        asked = requests[requests["cell"].isin(set(there["cell"]))]
        artifacts, parts = self.store.artifacts(), self.store.parts()
        weights = self._weights(there)
        perturbations = _absent(there["perturbation"].dropna(), artifacts)
        probes = _absent(asked["probes"].explode().dropna(), artifacts)
        lost_parts = _absent(there["part"].dropna(), parts)
        evidence = self._evidence(there, asked)
        unnamed = set(self.frame.index) - set(requests["cell"].dropna())
        rests = asked["cell"].isin(
            {
                *there.loc[there["perturbation"].isin(perturbations) | there["part"].isin(lost_parts), "cell"],
                *there.loc[there["target"].isin(evidence), "cell"],
                *there.loc[there["weights"].map(lambda w: w is not None and bool(weights.keys() & set(w))), "cell"],
            }
        )
        rests |= asked["probes"].map(lambda p: p is not None and bool(probes & set(p)))
        again = requests["cell"].isin(lost) | requests["cell"].isin(asked.loc[rests.astype(bool), "cell"])
        # Who asked for a cell last suffices.
        latest = requests[again].drop_duplicates("cell", keep="last")
        asked_by = latest["command"].fillna(latest["grid"])
        return Losses(
            cells=self._cells(lost),
            absent=len(missing - traces),
            weights=tuple(weights.values()),
            perturbations=len(perturbations),
            probes=len(probes),
            parts=len(lost_parts),
            evidence=len(evidence),
            unnamed=len(unnamed),
            asked_by=tuple(dict.fromkeys(asked_by)),
        )

    def _cells(self, lost: Collection[str]) -> tuple[LostCells, ...]:
        rows = self.inventory.rows.drop_duplicates("cell").set_index("cell")[["dataset", "attack"]]
        rows = rows[rows.index.isin(list(lost))]
        seconds = self.frame["seconds"].groupby([self.frame["dataset"], self.frame["attack"]]).median()
        own = self.frame["seconds"].reindex(rows.index)
        named = self.frame[["dataset", "attack"]].reindex(rows.index).fillna(rows)
        usual = pd.Series(
            [seconds.get((d, a)) for d, a in named.itertuples(index=False)], index=rows.index, dtype="float64"
        )
        rows = rows.assign(seconds=own.fillna(usual))
        return tuple(
            LostCells(str(dataset), str(attack), len(group), None if group["seconds"].isna().any() else total)
            for (dataset, attack), group in rows.groupby(["dataset", "attack"], sort=False)
            for total in [float(group["seconds"].sum())]
        )

    def _weights(self, there: pd.DataFrame) -> dict[str, str]:
        """Which weights are gone, with the model that they are of."""
        fitted = self.store.fitted()
        found: dict[str, str] = {}
        rows = zip(*(there[c] for c in ("weights", "model", "defense", "dataset")), strict=True)
        for weights, model, defense, dataset in rows:
            for each in () if weights is None else weights:
                if each not in fitted:
                    behind = "" if defense in ("none", None) else f" + {defense}"
                    found.setdefault(each, f"{model}{behind} on {dataset}")
        return found

    def _evidence(self, there: pd.DataFrame, asked: pd.DataFrame) -> set[str]:
        """Models of which a run asked for evidence, and there is none."""
        tagged = asked["tags"].map(lambda tags: "evidence" in json.loads(tags or "{}")).astype(bool)
        wanted = asked.loc[tagged, "cell"]
        parts = self.store.rows("parts")
        labelled = set(parts[parts["class"] != ""]["part"])
        rows = there[there["cell"].isin(set(wanted)) & (there["status"] == "ok") & there["part"].isin(labelled)]
        targets = set(rows["target"].dropna())
        return targets - set(self.store.rows("evidence")["target"])


def _absent(wanted: Iterable[str], there: Collection[str]) -> set[str]:
    return {each for each in wanted if each not in there}
