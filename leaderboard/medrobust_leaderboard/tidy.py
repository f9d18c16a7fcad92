"""One tidy table for programs: a row for each number, a column for each axis, one header."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from medrobust.api import metric

from .render.numbers import flat_label
from .store_results import StoreResults
from .table import LABELS, Table, TableCell, joined

NUMBERS = ("value", "low", "high", "n")
COMPARED = ("reference", "difference", "bracket", "reference_bracket")
FACTS = ("state", "note", "superseded", "distinguished_by", "evidence", "cells", "torch", "hardware")
STORE_COLUMNS = (*LABELS, "seeds", "metric", "unit", *NUMBERS, *FACTS)
WHERE = ("cells", "torch", "hardware")
PAPER_COLUMNS = (
    *("table", "row", "column"),
    *(*LABELS, "seeds", "metric", "unit"),
    *(*NUMBERS, *COMPARED, "state", "note", *WHERE),
)

Row = Mapping[str, Any]


def tidy_store(results: StoreResults) -> list[Row]:
    """A row for each number of a store, on the scale of records (0.8762, not 87.62); each number once.

    `seeds`, `cells`, `torch` and `hardware` have several values, separated by "; ", where several are behind a number.
    """
    unit = metric(results.metric).unit
    rows: list[Row] = []
    for number in results.numbers:
        members = [r for r in number.results if r.status == "ok"] or number.results
        first = number.first
        rows.append(
            {
                **{axis: first.labels[axis] for axis in LABELS},
                "seeds": joined(r.labels["seed"] for r in members),
                "metric": results.metric,
                "unit": unit,
                **_numbers(number.shown),
                "state": number.shown.state or "ok",
                "note": number.shown.note,
                "superseded": first.superseded.removeprefix("superseded: "),
                "distinguished_by": "; ".join(m for m in (first.table_mark, first.mark) if m and not first.superseded),
                "evidence": first.evidence,
                "cells": joined(r.cell for r in members),
                "torch": joined(r.machine[0] for r in members),
                "hardware": joined(r.machine[1] for r in members),
            }
        )
    return rows


def tidy_tables(tables: Iterable[Table]) -> list[Row]:
    """A row for each cell of a paper's tables; `row` and `column` are its labels as the table shows them.

    An axis over which a number is averaged has all its labels, separated by "; ".
    """
    return [
        {
            **dict.fromkeys(PAPER_COLUMNS, ""),
            "table": table.id,
            "row": flat_label(row),
            "column": flat_label(column),
            **cell.facts,
            "unit": "fraction" if (cell.unit or table.unit) == "percent" else cell.unit or table.unit,
            **_numbers(cell),
            **{name: getattr(cell, name) for name in COMPARED},
            "state": cell.state or "ok",
            "note": cell.note,
        }
        for table in tables
        for row, column, cell in table.walk()
    ]


def to_csv(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """CSV with one header; an empty field means that there is no number."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_json(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """A list of objects, all with the same keys; null means that there is no number."""
    return json.dumps([{column: row.get(column) for column in columns} for row in rows], indent=1)


def _numbers(cell: TableCell) -> dict[str, float | int | None]:
    return {"value": cell.value, "low": cell.low, "high": cell.high, "n": cell.n}
