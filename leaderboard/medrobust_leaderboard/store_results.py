"""The results in a store as one number for each set of labels: those that the last run asked for.

Only seeds are averaged. Current cells of equal labels, such as those of two blocks that differ in `threads`, are
distinguished by the fields of their identity that differ.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import pandas as pd

from medrobust.api import (
    AXES,
    NO_RECORD,
    Inventory,
    Store,
    Value,
    distinguish,
    measure,
    metric,
    over_seeds,
    superseded_reasons,
)

from .machines import machines_of
from .overlap import shared_groups_of, together
from .report import table_cell
from .table import TableCell

TABLE_AXES = ("dataset", "train_set", "model", "defense", "evaluate_on")
ROW_AXES = tuple(axis for axis in AXES if axis not in (*TABLE_AXES, "seed"))

Identity = Callable[[str], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Result:
    """One cell under its labels, as the store has it or lacks it.

    Attributes:
        labels: by axis, as the grid has them.
        cell, clean, target: identities; empty where the combination is impossible.
        status: `ok`, `invalid`, `failed` or `missing`.
        reason: why it is not ok.
        superseded: why it is not what was last asked for; empty for a current one.
        control: whether the attack knows nothing of the model.
        evidence: whether it was added for evidence only.
        machine: build of torch and device.
        shared_groups: which groups of its images other splits have too, in words.
        mark: words that distinguish it from others of the same labels.
        table_mark: words that distinguish its model or images from others of the same labels.
    """

    labels: Mapping[str, str]
    cell: str = ""
    clean: str = ""
    target: str = ""
    status: str = "missing"
    reason: str = ""
    superseded: str = ""
    control: bool = False
    evidence: bool = False
    machine: tuple[str, str] = ("", "")
    shared_groups: str = ""
    mark: str = ""
    table_mark: str = ""

    def key(self, axes: Iterable[str]) -> tuple[str, ...]:
        """Its labels on some axes."""
        return tuple(self.labels[axis] for axis in axes)


@dataclass(frozen=True)
class StoreNumber:
    """The number at one set of labels: the mean over the seeds that have one.

    Attributes:
        first: the first of its results, with the labels that all share but for the seed.
        results: one for each seed.
        shown: the number, or why there is none.
        value: what the metric says, with its interval; None without a number.
    """

    first: Result
    results: tuple[Result, ...]
    shown: TableCell
    value: Value | None = None

    @property
    def seeds(self) -> tuple[str, ...]:
        """Seeds behind the number."""
        return tuple(r.labels["seed"] for r in self.results if r.status == "ok")


@dataclass(frozen=True)
class StoreResults:
    """All numbers of a store.

    Attributes:
        metric: what they are.
        numbers: in the order of the grids.
        hidden: the reasons of superseded results that are not among them.
        identity: gives the fields of the identity of a cell.
    """

    metric: str
    numbers: tuple[StoreNumber, ...]
    hidden: tuple[str, ...]
    identity: Identity = field(repr=False)

    @property
    def targets(self) -> dict[str, Mapping[str, str]]:
        """Labels by identity of the targets that the numbers are of."""
        return {r.target: r.labels for n in reversed(self.numbers) for r in n.results if r.target}


def read_results(store: Store, name: str = "accuracy", *, superseded: bool = False) -> StoreResults:
    """The numbers of a store.

    Args:
        store: where they are.
        name: the metric.
        superseded: whether to include superseded results, marked as such.

    Raises:
        MedrobustError: for an unknown metric.
    """
    metric(name)
    inventory = Inventory.of(store)
    frame = store.cells(["reason", "target", "control", "versions", "hardware", "part"])
    identity = _identities(store)
    ok = set(frame.index[frame["status"] == "ok"])
    outdated = inventory.having("superseded") & ok
    reasons = {c: why for c, why in superseded_reasons(store, inventory.rows).items() if c in outdated}
    rows = inventory.rows
    rows = rows[rows["current"] | rows["cell"].isin(outdated)] if superseded else rows[rows["current"]]
    results = _results(rows, frame, reasons, shared_groups_of(store, frame))
    values = {cell: measure(name, record) for cell, record in store.records({r.cell for r in results} & ok)}
    groups: dict[tuple[Any, ...], list[Result]] = {}
    for each in _distinguished(results, identity):
        # Two cells of one seed never share a number: `_distinguished` has marked those of equal labels.
        groups.setdefault((each.table_mark, each.mark, *each.key((*TABLE_AXES, *ROW_AXES))), []).append(each)
    bounds = metric(name).bounds
    old = inventory.rows[inventory.rows["cell"].isin(outdated)]
    replaced = set(old[list(AXES)].itertuples(index=False, name=None))
    numbers = tuple(_number(members, values, bounds, replaced) for members in groups.values())
    return StoreResults(name, numbers, () if superseded else tuple(reasons.values()), identity)


def _identities(store: Store) -> Identity:
    texts: dict[str, str] = {}

    @lru_cache(maxsize=1024)
    def identity(cell: str) -> Mapping[str, Any] | None:
        if not texts:
            frame = store.cells(["identity"]).dropna(subset="identity")
            texts.update(zip(frame["cell"], frame["identity"], strict=True))
        text = texts.get(cell)
        return json.loads(text) if text else None

    return identity


def _results(
    rows: pd.DataFrame, frame: pd.DataFrame, reasons: Mapping[str, str], shared_groups: Mapping[str, str]
) -> list[Result]:
    machines = machines_of(frame)
    facts = frame[["status", "reason", "target", "control"]].to_dict("index")
    found: dict[tuple[Any, ...], Result] = {}
    for row in rows.to_dict("records"):
        cell = row["cell"]
        known = facts.get(cell, {})
        evidence = "evidence" in json.loads(row["tags"])
        result = Result(
            labels={axis: row[axis] for axis in AXES},
            cell=cell,
            clean=row["clean"],
            target=known.get("target") or "",
            status=known.get("status", "missing"),
            reason=known.get("reason") or row["reason"] or "",
            superseded="" if row["current"] else f"superseded: {reasons[cell]}",
            control=bool(known.get("control")) if known.get("control") is not None else False,
            evidence=evidence,
            machine=machines.get(cell, ("", "")),
            shared_groups=shared_groups.get(cell, ""),
        )
        # Blocks may share a cell, of which one was added for evidence.
        key = (cell, result.superseded, *result.labels.values())
        if key not in found or (found[key].evidence and not evidence):
            found[key] = result
    return list(found.values())


def _distinguished(results: Sequence[Result], identity: Identity) -> list[Result]:
    """Results, superseded ones last, with words that distinguish those of equal labels."""
    members: dict[str, list[str]] = {}
    for each in results:
        members.setdefault(each.clean, []).append(each.cell)

    def of_target(clean: str) -> Mapping[str, Any] | None:
        fields = next((f for cell in (clean, *members[clean]) if (f := identity(cell)) is not None), None)
        return None if fields is None else {key: fields[key] for key in ("target", "evaluate_on") if key in fields}

    marked: list[Result] = []
    for table in _grouped([r for r in results if not r.superseded], TABLE_AXES):
        words = _words(table, (), lambda r: r.clean, of_target)
        marked += [replace(r, table_mark=words.get(r.clean, "")) for r in table]
    marks = {r.key(TABLE_AXES): r.table_mark for r in reversed(marked)}
    marked += [replace(r, table_mark=marks.get(r.key(TABLE_AXES), "")) for r in results if r.superseded]
    told: list[Result] = []
    for row in _grouped(marked, [a for a in (*TABLE_AXES, *ROW_AXES) if a != "budget"]):
        words = _words(row, ("budget",), lambda r: r.cell, identity)
        told += [replace(r, mark="; ".join(p for p in (r.superseded, words.get(r.cell, "")) if p)) for r in row]
    return told


def _grouped(results: Iterable[Result], axes: Sequence[str]) -> Iterable[list[Result]]:
    """Results of equal labels on some axes that are marked alike so far."""
    groups: dict[tuple[str, ...], list[Result]] = {}
    for each in results:
        groups.setdefault((each.table_mark, each.superseded, *each.key(axes)), []).append(each)
    return groups.values()


def _words(
    results: Iterable[Result], axes: Sequence[str], subject: Callable[[Result], str], identity: Identity
) -> dict[str, str]:
    """Words for subjects (cells, or their clean records) of which some share the seed and their labels on some axes."""
    families: dict[tuple[str, ...], list[str]] = {}
    for each in results:
        if each.cell:
            families.setdefault(each.key((*axes, "seed")), []).append(subject(each))
    return distinguish(list(families.values()), identity)


def _number(
    members: Sequence[Result],
    values: Mapping[str, Value],
    bounds: tuple[float, float],
    replaced: set[tuple[str, ...]],
) -> StoreNumber:
    first = members[0]
    # A record that does not join its clean record counts as missing.
    gone = {r.cell for r in members if r.status == "ok" and r.cell not in values}
    members = [replace(r, status="missing", reason=NO_RECORD) if r.cell in gone else r for r in members]
    good = [r for r in members if r.status == "ok"]
    bad = [r for r in members if r.status != "ok"]
    earlier = any(r.key(AXES) in replaced for r in bad if not r.superseded)
    hint = "there is an earlier, superseded number: --superseded shows it" if earlier else ""
    if not good:
        failed = next((r for r in bad if r.status in ("failed", "invalid")), None)
        why = f"{failed.status}: {failed.reason}" if failed else next((r.reason for r in bad if r.reason), "")
        note = "; ".join(part for part in (why, hint) if part)
        return StoreNumber(first, tuple(members), TableCell(state="failed" if failed else "missing", note=note))
    found = [values[r.cell] for r in good]
    value = over_seeds(found, bounds) if len(found) > 1 else found[0]
    shown = table_cell(value, None)
    notes = [shown.note, together(r.shared_groups for r in good), *(_without(r) for r in bad), hint]
    return StoreNumber(first, tuple(members), replace(shown, note="; ".join(n for n in notes if n)), value)


def _without(result: Result) -> str:
    seed = result.labels["seed"]
    if result.status == "missing":
        return f"without seed {seed} ({result.reason or 'not computed'})"
    return f"without seed {seed} ({result.status}: {result.reason})"
