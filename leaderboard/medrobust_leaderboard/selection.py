"""From a plan and a store to numbers: which cells a table wants, and what their records say.

Tables select from the plan, whose entries carry the labels of the grid, and join the store by identity; so what is
missing or substituted is known without asking anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from medrobust import Entry, MedrobustError, Plan, Store, Value, evaluate, mean_of, metric, over_seeds

from .specs import Rule

Row = Mapping[str, str]
"""The labels of an entry by axis, with tags and `eps` (in grey levels of 255)."""


@dataclass(frozen=True)
class Selected:
    """An entry of the plan with its labels."""

    row: Row
    entry: Entry

    @property
    def cell(self) -> str | None:
        return self.entry.cell.id if self.entry.cell else None


def rows_of(plan: Plan) -> list[Selected]:
    """All entries of a plan but those added for evidence, with their labels; the radius stands under `eps`."""
    return [Selected(_row(entry), entry) for entry in plan.entries if "evidence" not in entry.tags]


def _row(entry: Entry) -> Row:
    row = entry.row()
    cell = entry.cell
    if cell is not None:
        radius = cell.budget.eps if cell.budget else None
        row["eps"] = f"{float(radius.value) * 255:g}" if radius is not None and radius.unit == "pixel01" else ""
    return row


def matches(row: Row, where: Mapping[str, str | list[str]]) -> bool:
    """Whether labels match; `*` and `?` are wildcards. A clean record has no budget, so it matches any."""
    for axis, wanted in where.items():
        patterns = [wanted] if isinstance(wanted, str) else wanted
        label = row.get(axis, "")
        if label == "" and row.get("attack") == "none":
            continue
        if not any(fnmatchcase(label, _literal(p)) for p in patterns):
            return False
    return True


def _literal(pattern: str) -> str:
    """Brackets stand for themselves, as labels contain them (`uap[steps=5]`)."""
    return pattern.replace("[", "[[]")


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
        frame = store.cells(["reason"]) if store.exists else None
        self.status: dict[str, tuple[str, str]] = {}
        if frame is not None:
            mine = frame[frame["cell"].isin(list(by_cell))]
            self.status = {
                c: (s, r or "") for c, s, r in zip(mine["cell"], mine["status"], mine["reason"], strict=True)
            }
        self._values: dict[tuple[str, str], Value] = {}
        for cell, record in store.records(list(by_cell)) if store.exists else ():
            for name in by_cell[cell]:
                self._values[cell, name] = evaluate(name, record)

    def get(self, cell: str, name: str) -> Value | None:
        """The value of a metric, or None if the cell has no record."""
        return self._values.get((cell, name))

    def combined(self, cells: Sequence[Selected], name: str) -> Value | None:
        """One value over seeds and over what a table averages; None if any of the cells has no record."""
        groups: dict[tuple[tuple[str, str], ...], list[Value]] = {}
        for selected in cells:
            value = self.get(selected.cell, name) if selected.cell else None
            if value is None:
                return None
            key = tuple((k, v) for k, v in sorted(selected.row.items()) if k != "seed")
            groups.setdefault(key, []).append(value)
        bounds = metric(name).bounds
        means = [over_seeds(values, bounds) if len(values) > 1 else values[0] for values in groups.values()]
        return means[0] if len(means) == 1 else mean_of(means)


def check_unique(cells: Sequence[Selected], varying: Sequence[str], where: str) -> None:
    """Several cells at one place of a table must differ in nothing but what it averages over.

    Raises:
        MedrobustError: naming the axis that should be selected or averaged.
    """
    for axis in sorted({k for s in cells for k in s.row}):
        if axis in varying or axis == "seed" or axis == "eps":
            continue
        labels = {s.row.get(axis, "") for s in cells}
        if len(labels) > 1:
            shown = ", ".join(sorted(labels)[:4])
            raise MedrobustError(
                f"{where}: cells differ in '{axis}' ({shown}); select one with `where` or name it in mean_over"
            )
