"""Which cells a claim is about, and what is missing of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from medrobust.api import CONFIDENCE_BINS, METRICS, NO_RECORD, Record, Store, Value

from ..labels import CLEAN, Labels, Row, Where, is_clean, is_free, matches, tables
from ..profiles import Substitution, class_names
from ..selection import Selected
from .specs import PENDING, Claim, ComparisonClaim, TrendClaim

SHOWN: Final = 4
"""Labels that a list of missing ones names."""


@dataclass(frozen=True)
class Item:
    """A cell as claims see it, or one class or bin of it.

    Attributes:
        row: its labels.
        cell: its identity.
        images: equal for items evaluated on the same images.
        classes: the classes of its data set, under the paper's names where the profile gives them.
        record: its record, or None.
        absent: why there is no record.
        excluded: why the grid has no such cell, or why it decides no claim; empty for a cell that was planned.
        substituted: whether data or model replace the paper's.
        index: position in a metric with an axis.
        values: numbers that are known without a record, by metric.
    """

    row: Row
    cell: str = ""
    images: str = ""
    classes: tuple[str, ...] = ()
    record: Record | None = None
    absent: str = ""
    excluded: str = ""
    substituted: bool = False
    index: int | None = None
    values: Mapping[str, Value] = field(default_factory=dict)

    @property
    def measured(self) -> bool:
        """Whether there is anything to read numbers from."""
        return self.record is not None or bool(self.values)


def items_of(
    rows: Iterable[Selected],
    substitutions: Callable[[Row], Sequence[Substitution]],
    left_out: Mapping[str, str] = MappingProxyType({}),
) -> list[Item]:
    """Every entry of a plan, without records.

    Args:
        substitutions: gives those that concern an entry.
        left_out: cells that decide no claim, with the reason.
    """
    items = []
    for selected in rows:
        entry, cell = selected.entry, selected.entry.cell
        replaced = substitutions(selected.row)
        if cell is None:
            absent = Item(selected.row, absent=entry.impossible, excluded=entry.excluded, substituted=bool(replaced))
            items.append(absent)
        else:
            classes = class_names(cell.target.info.classes, replaced)
            reason = left_out.get(cell.id, "")
            known = Item(selected.row, cell.id, cell.part.id, classes, excluded=reason, substituted=bool(replaced))
            items.append(known)
    return items


def with_records(items: Sequence[Item], store: Store, problems: Mapping[str, str]) -> list[Item]:
    """Items with their records, or with the reason why there are none."""
    cells = {item.cell for item in items if item.cell}
    found = dict(store.records(cells)) if store.exists and cells else {}
    return [
        replace(item, record=found.get(item.cell), absent=item.absent or problems.get(item.cell, "not computed"))
        for item in items
    ]


def problems_of(store: Store) -> dict[str, str]:
    """Why each cell of a store has no record, should it have none."""
    if not store.exists:
        return {}
    frame = store.cells(["reason"])
    found = {}
    for cell, status, reason in zip(frame["cell"], frame["status"], frame["reason"], strict=True):
        found[cell] = NO_RECORD if status == "ok" else f"{status}: {reason}" if reason else status
    return found


def spread(items: Iterable[Item], metric: str) -> list[Item]:
    """Items of a metric with an axis, one for each class or bin, labelled so."""
    axis = METRICS[metric].axis if metric in METRICS else ()
    if not axis:
        return list(items)
    bins = tuple(f"{edge:.2f}" for edge in CONFIDENCE_BINS[:-1])
    return [
        replace(item, row={**item.row, axis[0]: label}, index=index)
        for item in items
        for index, label in enumerate(bins if axis[0] == "bin" else item.classes)
    ]


def planned_matches(items: Iterable[Item], *selections: Where) -> list[Item]:
    """The planned items that match one table of every selection."""
    return [
        item
        for item in items
        if not item.excluded and all(any(matches(item.row, t) for t in tables(s)) for s in selections)
    ]


def wanted(claim: Claim) -> list[Labels]:
    """Every combination of tables that a claim selects by."""
    sides: list[Labels] = [{}]
    if isinstance(claim, ComparisonClaim):
        sides = [*tables(claim.left), *tables(claim.right)]
        if claim.change_from:
            sides += [{**side, **claim.change_from} for side in sides]
    elif isinstance(claim, TrendClaim) and claim.order:
        sides = [{claim.along: claim.order}]
    return [{**table, **side} for table in tables(claim.where) for side in sides]


def told_left_out(claim: Claim, items: Iterable[Item]) -> str:
    """How many of the cells that a claim is about decide none, and why; empty if there are none."""
    out, tables = [item for item in items if item.cell and item.excluded], wanted(claim)
    each = [item for name in claim.metrics.values() for item in spread(out, name)]
    found = {item.cell: item.excluded for item in each if any(matches(item.row, table) for table in tables)}
    if not found:
        return ""
    count = "1 cell" if len(found) == 1 else f"{len(found)} cells"
    return f"{count} left out: {'; '.join(sorted(set(found.values())))}"


def missing_labels(claim: Claim, items: Sequence[Item]) -> list[str]:
    """What a claim names and the plan does not have, in words."""
    absent: dict[str, dict[str, None]] = {}
    apart: dict[str, None] = {}
    planned = [item for name in claim.metrics.values() for item in spread(items, name) if not item.excluded]
    for table in wanted(claim):
        for axis, label in _labels(table):
            if axis == "bin" and not items:
                continue
            if not any(_has(item.row, axis, label, table) for item in planned):
                absent.setdefault(axis, {})[label] = None
            elif not any(matches(item.row, {**table, axis: label}) for item in planned):
                others = ", ".join(f"{k} {_either(v)}" for k, v in table.items() if k != axis)
                apart[f"{axis} {label} together with {others}"] = None
    texts = [f"{axis} {_either(list(labels))}{_why(axis, labels, items)}" for axis, labels in absent.items()]
    # Combinations are worth telling only where every label is known.
    texts = texts or list(apart)
    if not items:
        return [f"the paper's grid ({'; '.join(texts)})"] if texts else ["the paper's grid"]
    return [*texts, *(PENDING[name] for name in pending(claim, items))]


def pending(claim: Claim, items: Iterable[Item]) -> list[str]:
    """The metrics of a claim that no record gives and no item brings along."""
    given = {name for item in items for name in item.values}
    return [name for name in dict.fromkeys(claim.metrics.values()) if name in PENDING and name not in given]


def _labels(table: Labels) -> Iterator[tuple[str, str]]:
    for axis, labels in table.items():
        for label in [labels] if isinstance(labels, str) else labels:
            yield axis, label


def _has(row: Row, axis: str, label: str, table: Labels) -> bool:
    # A clean record matches every budget; it shows a label to exist only where clean records are asked for.
    if is_free(row, axis) and is_clean(row) and table.get("attack") != CLEAN:
        return False
    return matches(row, {axis: label})


def _why(axis: str, labels: Mapping[str, None], items: Iterable[Item]) -> str:
    reasons = dict.fromkeys(
        item.excluded
        for item in items
        if item.excluded and any(fnmatchcase(item.row.get(axis, ""), p.replace("[", "[[]")) for p in labels)
    )
    return f" ({'; '.join(reasons)})" if reasons else ""


def _either(labels: str | Sequence[str]) -> str:
    if isinstance(labels, str):
        return labels
    rest = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN + 1 else ""
    return ", ".join(labels[:SHOWN] if rest else labels) + rest


def missing_records(items: Iterable[Item]) -> str:
    """How many cells have no record and why; empty if all have one."""
    cells = {item.cell or str(sorted(item.row.items())): item for item in items}
    reasons = Counter(item.absent for item in cells.values() if not item.measured)
    if not reasons:
        return ""
    why = "; ".join(reason for reason, _ in reasons.most_common(3))
    return f"records of {sum(reasons.values())} of {len(cells)} cells ({why})"


Family = dict[str, Item]
"""Items that differ in nothing but the seed, by seed."""


def by_seed(items: Iterable[Item]) -> list[Family]:
    """Items that differ in nothing but the seed together, by seed."""
    families: dict[tuple[tuple[str, str], ...], Family] = {}
    for item in items:
        key = tuple(sorted((k, v) for k, v in item.row.items() if k != "seed"))
        families.setdefault(key, {})[item.row.get("seed", "")] = item
    return list(families.values())


def distinct(families: Iterable[Family]) -> list[Family]:
    """Families of different cells; one that the grid names in several ways counts once, under the first."""
    first: dict[frozenset[object], Family] = {}
    for family in families:
        first.setdefault(cells_of(family), family)
    return list(first.values())


def cells_of(family: Family) -> frozenset[object]:
    """Equal for families of the same cells (and the same class or bin of them)."""
    return frozenset((item.cell or tuple(sorted(item.row.items())), item.index) for item in family.values())
