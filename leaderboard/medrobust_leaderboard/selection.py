"""From a plan and a store to numbers: which cells a table wants, and what their records say.

Tables select from the plan, whose entries carry the labels of the grid, and join the store by identity; so what is
missing or substituted is known from the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from medrobust import MedrobustError, cumulative_field
from medrobust.api import (
    CONFIDENCE_BINS,
    NO_RECORD,
    Entry,
    Plan,
    Store,
    Value,
    distinguish,
    mean_of,
    measure,
    metric,
    over_seeds,
)

from .labels import Row, is_free, matches
from .machines import machines_of
from .overlap import shared_groups_of
from .profiles import Substitution, class_names
from .views import Rule


@dataclass(frozen=True)
class Selected:
    """An entry of the plan with its labels; `index` is its place in a metric with an axis, once spread over it."""

    row: Row
    entry: Entry
    index: int | None = None

    @property
    def cell(self) -> str | None:
        return self.entry.cell.id if self.entry.cell else None


def rows_of(plan: Plan) -> list[Selected]:
    """All entries of a plan but those added for evidence, with their labels, each cell once under equal labels.

    A cell that the grid names in several ways comes under each of its labels.
    """
    rows: dict[tuple[object, ...], Selected] = {}
    for entry in plan.entries:
        if "evidence" in entry.tags:
            continue
        each = Selected(_row(entry), entry)
        key = (each.cell or id(entry), *sorted(each.row.items()))
        # Blocks of a grid may share a cell of which only one asks for a probe.
        if key not in rows or len(entry.probes) > len(rows[key].entry.probes):
            rows[key] = each
    return list(rows.values())


def _row(entry: Entry) -> dict[str, str]:
    """Labels by axis and tags; the radius as `eps` (grey levels of 255) or `zeta` (percent); cumulative fields."""
    row, cell = entry.row(), entry.cell
    if cell is None:
        return row
    radius = cell.budget.eps if cell.budget else None
    row["eps"] = f"{float(radius.value) * 255:g}" if radius is not None and radius.unit == "pixel01" else ""
    row["zeta"] = f"{float(radius.value) * 100:g}" if radius is not None and radius.unit == "zeta" else ""
    for axis, plugin in (("attack", cell.root), ("defense", cell.target.defense.plugin)):
        if plugin is not None and (field := cumulative_field(plugin)):
            row[f"{axis}.{field}"] = str(getattr(plugin, field))
    return row


def concerns(row: Row, metrics: Iterable[str]) -> bool:
    """Whether metrics are about an entry: those of a detector about entries with one, all others about the rest."""
    return any(metric(name).scored for name in metrics) == bool(row.get("detector"))


def spread(
    selected: Iterable[Selected], axis: str, substitutions: Callable[[Row], Sequence[Substitution]] = lambda row: ()
) -> list[Selected]:
    """Entries of a metric with the axis `class` or `bin`, one for each class or bin, labelled so."""
    bins = tuple(f"{edge:.2f}" for edge in CONFIDENCE_BINS[:-1])
    entries = []
    for each in selected:
        if each.entry.cell is not None:
            classes = class_names(each.entry.cell.target.info.classes, substitutions(each.row))
            labels = bins if axis == "bin" else classes
            entries += [replace(each, row={**each.row, axis: label}, index=n) for n, label in enumerate(labels)]
    return entries


def each_once(selected: Iterable[Selected]) -> list[Selected]:
    """Each cell (and class or bin of it) under the first of its labels: no mean counts one twice."""
    first: dict[tuple[object, int | None], Selected] = {}
    for each in selected:
        first.setdefault((each.cell or tuple(sorted(each.row.items())), each.index), each)
    return list(first.values())


def entry_of(cells: Sequence[Selected], number: int) -> list[Selected]:
    """One class of cells by its number, from 1; empty where a data set has fewer."""
    classes = min((len(c.entry.cell.target.info.classes) for c in cells if c.entry.cell), default=number)
    return [replace(cell, index=number - 1) for cell in cells] if number <= classes else []


def rule_for(row: Row, rules: Sequence[Rule], label: str | None = None) -> Rule | None:
    """The first rule that applies to an entry (with this label, if one is given)."""
    for rule in rules:
        if (label is None or rule.label == label) and matches(row, rule.where):
            return rule
    return None


class Numbers:
    """Metrics of cells, each record read once.

    Args:
        store: where the records are.
        wanted: (cell, metric) pairs.
    """

    def __init__(self, store: Store, wanted: Iterable[tuple[str, str]]) -> None:
        by_cell: dict[str, set[str]] = {}
        for cell, name in wanted:
            metric(name)
            by_cell.setdefault(cell, set()).add(name)
        frame = store.cells(["reason", "versions", "hardware", "part"]) if store.exists else None
        self.status: dict[str, tuple[str, str]] = {}
        self.machines: dict[str, tuple[str, str]] = {}
        self.shared_groups: dict[str, str] = {}
        if frame is not None:
            mine = frame[frame["cell"].isin(list(by_cell))]
            self.status = {
                c: (s, r or "") for c, s, r in zip(mine["cell"], mine["status"], mine["reason"], strict=True)
            }
            self.machines = machines_of(mine)
            self.shared_groups = shared_groups_of(store, mine)
        self._values: dict[tuple[str, str], Value] = {}
        records: set[str] = set()
        for cell, record in store.records(list(by_cell)) if store.exists else ():
            records.add(cell)
            for name in by_cell[cell]:
                self._values[cell, name] = measure(name, record)
        # Whether a record can be read is known once it is read.
        gone = {c for c, (status, _) in self.status.items() if status == "ok"} - records
        self.status |= dict.fromkeys(gone, ("missing", NO_RECORD))

    def get(self, cell: str, name: str) -> Value | None:
        """The value of a metric, or None if the cell has no record."""
        return self._values.get((cell, name))

    def combined(self, cells: Sequence[Selected], name: str) -> Value | None:
        """One value over seeds and over what a table averages; None if any of the cells has no record."""
        groups: dict[tuple[tuple[str, str], ...], list[Value]] = {}
        for selected in each_once(cells):
            value = self.get(selected.cell, name) if selected.cell else None
            if value is None:
                return None
            if selected.index is not None and value.defined:
                value = value.at(selected.index)
            key = tuple((k, v) for k, v in sorted(selected.row.items()) if k != "seed")
            groups.setdefault(key, []).append(value)
        bounds = metric(name).bounds
        means = [over_seeds(values, bounds) if len(values) > 1 else values[0] for values in groups.values()]
        return means[0] if len(means) == 1 else mean_of(means)


def check_unique(cells: Sequence[Selected], varying: Sequence[str], where: str) -> None:
    """Several cells at one place of a table must differ in nothing but what it averages over.

    Raises:
        MedrobustError: naming the axis that should be selected or averaged, or in what cells of equal labels differ.
    """
    _check_identities(cells, where)
    for axis in sorted({k for s in cells for k in s.row}):
        if axis in varying or axis in ("seed", "eps", "zeta") or "." in axis.removeprefix("tags."):
            continue
        labels = {s.row.get(axis, "") for s in cells if not is_free(s.row, axis)}
        if len(labels) > 1:
            shown = ", ".join(sorted(labels)[:4])
            raise MedrobustError(
                f"{where}: cells differ in '{axis}' ({shown}); select one with `where` or name it in mean_over"
            )


def _check_identities(cells: Sequence[Selected], where: str) -> None:
    """Cells of equal labels must be one cell: a table could not distinguish them."""
    alike: dict[tuple[object, ...], dict[str, Selected]] = {}
    for each in cells:
        if each.cell:
            alike.setdefault((each.index, *sorted(each.row.items())), {})[each.cell] = each
    for family in alike.values():
        if len(family) > 1:
            fields = {cell: each.entry.cell.fields for cell, each in family.items() if each.entry.cell}
            fields_in_words = " and ".join(distinguish([list(family)], fields.get).values())
            raise MedrobustError(
                f"{where}: cells of equal labels differ ({fields_in_words}); give one of them another name or tag"
            )
