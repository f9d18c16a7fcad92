"""The one table model: our numbers, the paper's beside them, and what their difference means.

A table is plain data. Its builder decides the states; `render` decides only how it looks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from medrobust.api import AXES

Key = tuple[str, ...]
"""The labels of one row or column, outermost level first."""

State = Literal["reproduced", "off", "outside", "missing", "substituted", "flagged", "failed", "undefined", ""]
Unit = Literal["percent", "fraction", "ratio", "pixel range", "count"]


COUNTS: Final[Mapping[str, str]] = {
    "study_images": "images of the training slice and of the one evaluated on",
    "study_images_by_class": "the same for each class",
}
"""Numbers that tables show beside metrics, with their meaning; no record says them."""


@dataclass(frozen=True)
class StateMeaning:
    """How a state is marked in a cell, counted in a summary and explained in a legend."""

    mark: str
    counted: str
    meaning: str


STATES: Final[Mapping[State, StateMeaning]] = {
    "reproduced": StateMeaning("✓", "reproduced", "the paper's value lies within our 95 % interval"),
    "off": StateMeaning("≠", "off by more than the tolerance", "no interval here; differs by more than the tolerance"),
    "outside": StateMeaning("✗", "outside the interval", "the paper's value lies outside our 95 % interval"),
    "substituted": StateMeaning(
        "~", "on substituted data", "other data or another model is used; the difference does not test the paper"
    ),
    "flagged": StateMeaning("!", "flagged", "not to be relied on: its note says what speaks against it"),
    "failed": StateMeaning("failed", "failed", "the cell failed; it counts neither for nor against the paper"),
    "undefined": StateMeaning("undefined", "undefined", "the number does not exist on these images; the note says why"),
    "": StateMeaning("", "without a value to compare with", ""),
    "missing": StateMeaning("missing", "missing", "not computed"),
}
"""Every state, in the order of summaries and legends."""


@dataclass(frozen=True, kw_only=True)
class TableCell:
    """One number with what belongs to it; all numbers are on the scale of records (0.8762, not 87.62).

    Attributes:
        value: ours; None where there is none.
        low, high: ends of our 95 % interval.
        n: images (or other units) behind the value.
        reference: the paper's value.
        bracket: our number in brackets, such as that of a random control; `reference_bracket`: the paper's.
        state: what the comparison says (`STATES`).
        unit: how it is shown where that is not as the table says, such as a number of images among rates.
        note: a sentence on this cell, shown as a footnote.
        facts: further facts for programs: labels by axis, seeds, metric, cells, where it was computed.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    reference: float | None = None
    bracket: float | None = None
    reference_bracket: float | None = None
    state: State = ""
    unit: Unit | None = None
    note: str = ""
    facts: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # None is the one way to say "no number": made so here, no renderer ever meets a NaN.
        for name in ("value", "low", "high", "reference", "bracket", "reference_bracket"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                object.__setattr__(self, name, None)
        if self.state not in STATES:
            raise ValueError(f"unknown cell state {self.state!r}; the states are {', '.join(map(repr, STATES))}")
        if self.state in ("reproduced", "off", "outside") and self.difference is None:
            raise ValueError(f"a cell is {self.state!r} only with both a value and a reference; got {self}")

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's, where both exist."""
        if self.value is None or self.reference is None:
            return None
        return self.value - self.reference


@dataclass(frozen=True)
class BracketStyle:
    """What the numbers in brackets are, and how they are shown."""

    label: str = "the control's"
    unit: Unit = "percent"
    decimals: int = 1


LABELS: Final = tuple(axis for axis in AXES if axis != "seed")
"""Axes on which a number has one label each; it may be a mean over several seeds."""


def joined(values: Iterable[str]) -> str:
    """Distinct values in one field of a tidy table."""
    return "; ".join(dict.fromkeys(v for v in values if v))


EMPTY: Final = TableCell()
"""The cell where a row and a column have none."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table in the order given: rows and columns by key, cells by (row key, column key).

    Attributes:
        id: short name, used for files and anchors ("table2").
        row_names, column_names: what each level of a key is ("attack"; "dataset", "metric").
        notes: sentences below the table.
        unit: "percent" shows 0.8762 as 87.6; "fraction", "ratio" and "pixel range" (a length where black to white is 1)
            as they are, "count" as a whole number. Cells are never scaled.
        decimals: digits after the point as shown.
        bracket: how the numbers in brackets are shown; as the others if not given.
        nested: whether neighbouring rows of equal outer labels are one group, which shows them once.
    """

    id: str
    title: str
    caption: str = ""
    row_names: Key
    rows: tuple[Key, ...]
    column_names: Key
    columns: tuple[Key, ...]
    cells: Mapping[tuple[Key, Key], TableCell] = field(hash=False)
    notes: tuple[str, ...] = ()
    unit: Unit = "percent"
    decimals: int = 1
    bracket: BracketStyle | None = None
    nested: bool = True

    def __post_init__(self) -> None:
        for kind, names, keys in (("row", self.row_names, self.rows), ("column", self.column_names, self.columns)):
            wrong = [key for key in keys if len(key) != len(names)]
            if wrong:
                raise ValueError(f"table {self.id}: {kind} key {wrong[0]} needs one label for each of {names}")
            repeated = [key for key, times in Counter(keys).items() if times > 1]
            if repeated:
                raise ValueError(f"table {self.id}: {kind} key {repeated[0]} appears more than once")
        rows, columns = set(self.rows), set(self.columns)
        stray = [key for key in self.cells if key[0] not in rows or key[1] not in columns]
        if stray:
            raise ValueError(f"table {self.id}: cell {stray[0]} is in no row and column of the table")

    def cell(self, row: Key, column: Key) -> TableCell:
        """The cell of a row and column; `EMPTY` where there is none."""
        return self.cells.get((row, column), EMPTY)

    def walk(self) -> Iterator[tuple[Key, Key, TableCell]]:
        """The cells there are, row by row, in the order shown."""
        for row in self.rows:
            for column in self.columns:
                if (row, column) in self.cells:
                    yield row, column, self.cells[row, column]


def count_states(tables: Iterable[Table]) -> dict[State, int]:
    """How many cells are in each state, in the order of `STATES`, zeros included."""
    counts = Counter(cell.state for table in tables for _, _, cell in table.walk())
    return {state: counts[state] for state in STATES}


def summarize(tables: Table | Iterable[Table]) -> str:
    """One line for a table or for all of a paper: "30 cells: 12 reproduced, 3 outside the interval, 0 missing"."""
    tables = (tables,) if isinstance(tables, Table) else tuple(tables)
    counts = count_states(tables)
    total = sum(counts.values())
    compared = any(cell.reference is not None for table in tables for _, _, cell in table.walk())
    # Missing cells are named even when there are none: that is the question a reader has first.
    parts = [
        f"{n} {STATES[state].counted if state or compared else 'computed'}"
        for state, n in counts.items()
        if n or state == "missing"
    ]
    return f"{total} {'cell' if total == 1 else 'cells'}: {', '.join(parts)}"


def runs(labels: Sequence[Key], level: int) -> tuple[tuple[str, int], ...]:
    """Neighbouring keys that agree down to `level`, as (label, how many): what a header cell spans."""
    spans: list[tuple[Key, int]] = []
    for key in labels:
        prefix = key[: level + 1]
        if spans and spans[-1][0] == prefix:
            spans[-1] = (prefix, spans[-1][1] + 1)
        else:
            spans.append((prefix, 1))
    return tuple((prefix[-1], length) for prefix, length in spans)
