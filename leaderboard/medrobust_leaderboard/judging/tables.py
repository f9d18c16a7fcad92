"""The results of a judgement as rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medrobust.api import Result


@dataclass(frozen=True)
class Row:
    """One attack: its name, what it knows, and a result or None for each column."""

    title: str
    kind: str
    cells: tuple[Result | None, ...]


def rows_of(results: Sequence[Result]) -> tuple[list[str], list[Row]]:
    """Budgets as columns, by norm and size, and attacks as rows, in their order."""
    columns = sorted({(r.norm, r.eps, r.budget) for r in results})
    rows = []
    for title in dict.fromkeys(r.title for r in results):
        mine = {(r.norm, r.eps, r.budget): r for r in results if r.title == title}
        kind = next(iter(mine.values())).kind
        rows.append(Row(title, kind, tuple(mine.get(column) for column in columns)))
    return [budget.removeprefix("linf:") for _, _, budget in columns], rows
