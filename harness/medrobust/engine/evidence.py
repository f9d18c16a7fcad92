"""Collecting the evidence on the models of a plan from the records of a store, and keeping it there."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from ..contracts import BudgetSpec
from ..grid.evidence_cells import is_large
from ..results.evidence import Check, Trial, evidence
from ..results.record import Record
from ..results.store import Store

_SUBJECT = ["target", "part", "dataset", "model", "defense", "seed"]
_TRIAL = [
    "attack",
    "goal",
    "precision",
    "craft_on",
    "detector",
    "budget",
    "norm",
    "eps",
    "control",
    "white_box",
    "iterations",
    "backward_passes",
]
EVIDENCE_COLUMNS = [*_SUBJECT, *_TRIAL, "diagnosis", "target_class"]
"""Columns of the table `cells` that the checks need."""


def collect(store: Store, cells: Collection[str]) -> list[dict[str, Any]]:
    """Check every model and norm among the given cells; rows of the table `evidence`, which are kept as well."""
    frame = store.cells(EVIDENCE_COLUMNS)
    frame = frame[frame["cell"].isin(list(cells))]
    rows = evidence_on(frame, dict(store.records(list(frame.index))))
    for key, mine in itertools.groupby(rows, key=lambda row: (row["target"], row["part"])):
        store.write_rows("evidence", "-".join(key), list(mine))
    return rows


def evidence_on(frame: pd.DataFrame, records: Mapping[str, Record]) -> list[dict[str, Any]]:
    """The checks of every model and norm among some cells, as rows of the table `evidence`.

    Targeted attacks and images without labels take no part: the checks speak of robust accuracy.

    Args:
        frame: rows of the table `cells`, each cell once, with `EVIDENCE_COLUMNS`, `cell` and `status`.
        records: those of the cells, by cell.
    """
    # Of attacks whose images a detector judges there are records without one, or none that would be complete.
    frame = frame[(frame["status"] == "ok") & frame["target_class"].isna() & (frame["detector"].fillna("") == "")]
    known = {cell for cell, record in records.items() if record.labels is not None}
    rows: list[dict[str, Any]] = []
    for _, group in frame.groupby(["target", "part"], sort=False):
        diagnoses = [d for d in group["diagnosis"] if isinstance(d, str)]
        diagnosis = json.loads(diagnoses[0]) if diagnoses else None
        for norm, trials in group[group["norm"].notna() & group["eps"].notna()].groupby("norm", sort=False):
            mine = [_trial(r, records[r["cell"]]) for r in trials.to_dict("records") if r["cell"] in known]
            rows += _rows(group, str(norm), evidence(mine, diagnosis))
    return rows


def _trial(row: dict[Any, Any], record: Record) -> Trial:
    universal = bool(row["craft_on"])
    by_gradient = not universal and not pd.isna(row["iterations"]) and row["backward_passes"] > 0
    return Trial(
        attack=_label(row),
        eps=float(row["eps"]),
        control=bool(row["control"]),
        white_box=bool(row["white_box"]),
        iterations=int(row["iterations"]) if by_gradient else 0,
        record=record,
        large=not universal and is_large(BudgetSpec.parse(row["budget"])),
    )


def _label(row: dict[Any, Any]) -> str:
    """An attack with what else its strength depends on: runs that differ in it are not one series over eps."""
    goal = "" if row["goal"] == "untargeted" else f", {row['goal']}"
    precision = "" if row["precision"] == "float32" else f" in {row['precision']}"
    return f"{row['attack']}{goal}{precision}" + (f" from {row['craft_on']}" if row["craft_on"] else "")


def _rows(group: pd.DataFrame, norm: str, checks: list[Check]) -> list[dict[str, Any]]:
    subject = {str(k): v for k, v in group.iloc[0][_SUBJECT].to_dict().items()}
    return [
        {**subject, "norm": norm, "check": c.name, "outcome": c.outcome, "detail": c.detail, "advice": c.advice}
        for c in checks
    ]
