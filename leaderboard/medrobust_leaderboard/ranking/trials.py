"""What stores hold, as one flat list: each attack on each model, with its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from medrobust import BudgetSpec
from medrobust.api import EVIDENCE_COLUMNS, NO_RECORD, Record, Store, evidence_on

from ..labels import is_clean
from ..store_cells import Identity, Result, StoreCells, read_cells

COLUMNS = [*EVIDENCE_COLUMNS, "part", "forward_passes", "seconds", "images"]

TargetKey = tuple[str, str]
"""Identity of a model, and the store it is from where its weights are not those of an earlier store."""


@dataclass(frozen=True, eq=False)
class Trial:
    """An attack with a radius on a model, on labelled images, that has a record.

    Attributes:
        result: the cell under its labels.
        facts: the cell's row.
        record: the images.
    """

    result: Result
    facts: Mapping[str, Any]
    record: Record

    @property
    def target(self) -> TargetKey:
        return self.result.target, self.result.origin

    @property
    def labels(self) -> Mapping[str, str]:
        return self.result.labels

    @property
    def surrogate(self) -> str:
        """The model that the attack saw in the target's place; empty in a white-box setting."""
        return "" if self.facts["white_box"] else self.labels["surrogate"]

    @property
    def budget(self) -> BudgetSpec:
        """The threat model, as the store writes it."""
        return BudgetSpec.parse(self.facts["budget"])

    @property
    def eps(self) -> float:
        """The radius, pixels in [0, 1]."""
        return float("inf") if self.facts["norm"] == "unbounded" else float(self.facts["eps"])

    def per_image(self, *columns: str) -> float | None:
        """The sum of some columns for each image; None where it says nothing.

        A universal perturbation is fitted once, on other images, which no cell's row counts.
        """
        values = [self.facts[column] for column in columns]
        if self.labels["craft_on"] or any(pd.isna(v) for v in values) or not self.facts["images"]:
            return None
        return float(sum(values)) / float(self.facts["images"])


@dataclass(frozen=True)
class Gathered:
    """What a ranking is made of.

    Attributes:
        stores: names of the stores, in order.
        trials: attacks with a radius above 0, in the order of the grids.
        without: current results that have no record, or none that can be ranked, with the reason as `reason`.
        hidden: the reasons of superseded results.
        evidence: rows of the evidence checks, by model, images and norm.
        identity: gives the fields of the identity of a cell.
    """

    stores: tuple[str, ...]
    trials: tuple[Trial, ...]
    without: tuple[Result, ...]
    hidden: tuple[str, ...]
    evidence: Mapping[tuple[TargetKey, str, str], Sequence[Mapping[str, Any]]] = field(repr=False)
    identity: Identity = field(repr=False)


def gather(stores: Sequence[Store]) -> Gathered:
    """Read stores; what they know of one model together counts as evidence on it."""
    cells = read_cells(stores)
    trials: list[Trial] = []
    without: list[Result] = []
    for place, store in enumerate(stores):
        mine = [r for r in cells.results if r.store == place]
        ok = {r.cell for r in mine if r.status == "ok"}
        records = dict(store.records(ok)) if ok else {}
        rows = store.cells(COLUMNS).to_dict("records") if mine else []
        facts = {row["cell"]: {str(k): v for k, v in row.items()} for row in rows}
        for result in mine:
            record = records.get(result.cell)
            reason = _unranked(result, facts.get(result.cell, {}), record)
            if reason is None:
                continue
            if reason:
                without.append(replace(result, reason=reason))
            elif record is not None:
                trials.append(Trial(result, facts[result.cell], record))
    order = {id(result): number for number, result in enumerate(cells.results)}
    trials.sort(key=lambda trial: order[id(trial.result)])
    names = tuple(store.path.name for store in stores)
    return Gathered(names, tuple(trials), tuple(without), cells.hidden, _evidence(cells), cells.identity)


def _unranked(result: Result, facts: Mapping[str, Any], record: Record | None) -> str | None:
    """Why a result is in no ranking; empty if it is, None if it is none of a ranking's business."""
    if result.labels["detector"]:
        return None
    if result.status != "ok":
        told = {"missing": "not computed"}.get(result.status, result.status)
        return f"{told}: {result.reason}" if result.reason else told
    if record is None:
        return NO_RECORD
    if is_clean(result.labels):
        return None
    if record.labels is None:
        return None if result.evidence else "the images have no labels"
    if facts["norm"] == "unbounded":
        return ""
    if pd.isna(facts["eps"]) or facts["norm"] is None:
        return "no radius: the smallest perturbation is searched for"
    return None if facts["eps"] == 0 else ""


def _evidence(cells: StoreCells) -> dict[tuple[TargetKey, str, str], list[Mapping[str, Any]]]:
    found: dict[tuple[TargetKey, str, str], list[Mapping[str, Any]]] = {}
    for origin in dict.fromkeys(r.origin for r in cells.results):
        frames: list[pd.DataFrame] = []
        records: dict[str, Record] = {}
        for place, store in enumerate(cells.stores):
            mine = {r.cell for r in cells.results if (r.store, r.origin, r.status) == (place, origin, "ok")}
            mine -= records.keys()
            if mine:
                frames.append(_rows_of(store, mine))
                records.update(store.records(mine))
        for row in evidence_on(pd.concat(frames), records) if frames else ():
            found.setdefault(((row["target"], origin), row["part"], row["norm"]), []).append(row)
    return found


def _rows_of(store: Store, cells: AbstractSet[str]) -> pd.DataFrame:
    frame = store.cells(EVIDENCE_COLUMNS)
    return frame[frame["cell"].isin(cells)]
