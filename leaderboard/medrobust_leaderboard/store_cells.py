"""The cells that one or several stores have under each label: those that the last runs asked for.

Current cells of equal labels, such as those of two blocks that differ in `threads`, are distinguished by the fields of
their identity that differ. Stores are pooled: a cell that two of them have counts once, unless it was computed with
other weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import pandas as pd

from medrobust.api import AXES, Inventory, Store, distinguish, superseded_reasons

from .machines import machines_of
from .overlap import shared_groups_of

TABLE_AXES = ("dataset", "train_set", "model", "defense", "evaluate_on")
ROW_AXES = tuple(axis for axis in AXES if axis not in (*TABLE_AXES, "seed"))
COLUMNS = ["reason", "target", "control", "versions", "hardware", "part", "made_from"]

Identity = Callable[[str], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Result:
    """One cell under its labels, as a store has it or lacks it.

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
        store: place of its store among those that were read.
        origin: names the store, if it was computed with other weights than an earlier store has by the same identity.
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
    store: int = 0
    origin: str = ""
    mark: str = ""
    table_mark: str = ""

    def key(self, axes: Iterable[str]) -> tuple[str, ...]:
        """Its labels on some axes."""
        return tuple(self.labels[axis] for axis in axes)


@dataclass(frozen=True)
class StoreCells:
    """What stores have and lack.

    Attributes:
        stores: in the order in which they were given.
        results: in the order of the grids, superseded ones last.
        hidden: the reasons of superseded results that are not among them.
        replaced: labels under which there is a superseded result.
        identity: gives the fields of the identity of a cell.
    """

    stores: tuple[Store, ...]
    results: tuple[Result, ...]
    hidden: tuple[str, ...]
    replaced: frozenset[tuple[str, ...]]
    identity: Identity = field(repr=False)


def read_cells(stores: Sequence[Store], *, superseded: bool = False) -> StoreCells:
    """What stores have under each label.

    Args:
        stores: where to look; of a cell that several have, the first that has a result of it counts.
        superseded: whether to include superseded results, marked as such.
    """
    results: list[Result] = []
    hidden: list[str] = []
    replaced: set[tuple[str, ...]] = set()
    contents: dict[str, str] = {}
    for place, store in enumerate(stores):
        inventory, frame = Inventory.of(store), store.cells(COLUMNS)
        outdated = inventory.having("superseded") & set(frame.index[frame["status"] == "ok"])
        reasons = {c: why for c, why in superseded_reasons(store, inventory.rows).items() if c in outdated}
        rows = inventory.rows
        old = rows[rows["cell"].isin(outdated)]
        replaced |= set(old[list(AXES)].itertuples(index=False, name=None))
        hidden += [] if superseded else reasons.values()
        rows = rows[rows["current"] | rows["cell"].isin(outdated)] if superseded else rows[rows["current"]]
        found = _results(rows, frame, reasons, shared_groups_of(store, frame))
        strange = _made_otherwise(frame, contents)
        name = f"weights of {store.path.name}"
        results += [replace(r, store=place, origin=name if r.cell in strange else "") for r in found]
    identity = _identities(stores)
    pooled = _each_once(results)
    return StoreCells(
        tuple(stores), tuple(_distinguished(pooled, identity)), tuple(hidden), frozenset(replaced), identity
    )


def _made_otherwise(frame: pd.DataFrame, contents: dict[str, str]) -> set[str]:
    """Cells that were computed with other weights than earlier stores have by the same identity.

    Args:
        frame: rows of one store.
        contents: the content behind each identity in earlier stores; that of this store is added.
    """
    strange: set[str] = set()
    own: dict[str, str] = {}
    for cell, entries in zip(frame["cell"], frame["made_from"], strict=True):
        for entry in () if entries is None else entries:
            identity, _, content = entry.partition("=")
            own[identity] = content
            if contents.get(identity, content) != content:
                strange.add(cell)
    for identity, content in own.items():
        contents.setdefault(identity, content)
    return strange


def _each_once(results: Iterable[Result]) -> list[Result]:
    """Each cell once under equal labels: with a result rather than without, asked for rather than for evidence."""
    found: dict[tuple[Any, ...], Result] = {}
    for each in results:
        key = (each.cell, each.origin, each.superseded, *each.labels.values())
        known = found.get(key)
        if known is None or (known.status != "ok" and each.status == "ok"):
            found[key] = each if known is None else replace(each, evidence=known.evidence and each.evidence)
        elif known.evidence and not each.evidence:
            found[key] = replace(known, evidence=False)
    return list(found.values())


def _identities(stores: Sequence[Store]) -> Identity:
    texts: dict[str, str] = {}

    @lru_cache(maxsize=1024)
    def identity(cell: str) -> Mapping[str, Any] | None:
        if not texts:
            for store in stores:
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
    found: list[Result] = []
    for row in rows.to_dict("records"):
        cell = row["cell"]
        known = facts.get(cell, {})
        found.append(
            Result(
                labels={axis: row[axis] for axis in AXES},
                cell=cell,
                clean=row["clean"],
                target=known.get("target") or "",
                status=known.get("status", "missing"),
                reason=known.get("reason") or row["reason"] or "",
                superseded="" if row["current"] else f"superseded: {reasons[cell]}",
                control=bool(known.get("control")) if known.get("control") is not None else False,
                evidence="evidence" in json.loads(row["tags"]),
                machine=machines.get(cell, ("", "")),
                shared_groups=shared_groups.get(cell, ""),
            )
        )
    return found


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
        marked += [replace(r, table_mark=_joined(words.get(r.clean, ""), r.origin)) for r in table]
    marks = {r.key(TABLE_AXES): r.table_mark for r in reversed(marked)}
    marked += [replace(r, table_mark=marks.get(r.key(TABLE_AXES), "")) for r in results if r.superseded]
    told: list[Result] = []
    for row in _grouped(marked, [a for a in (*TABLE_AXES, *ROW_AXES) if a != "budget"]):
        words = _words(row, ("budget",), lambda r: r.cell, identity)
        told += [replace(r, mark=_joined(r.superseded, words.get(r.cell, ""))) for r in row]
    return told


def _joined(*words: str) -> str:
    return "; ".join(word for word in words if word)


def _grouped(results: Iterable[Result], axes: Sequence[str]) -> Iterable[list[Result]]:
    """Results of equal labels on some axes that are marked alike so far."""
    groups: dict[tuple[str, ...], list[Result]] = {}
    for each in results:
        groups.setdefault((each.table_mark, each.superseded, each.origin, *each.key(axes)), []).append(each)
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
