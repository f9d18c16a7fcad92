"""CSV in long form: one line a cell, numbers unrounded and unscaled."""

from __future__ import annotations

import csv
import io
from typing import Final

from medrobust_leaderboard.table import Table

FIELDS: Final = (
    "value",
    "low",
    "high",
    "n",
    "reference",
    "difference",
    "bracket",
    "reference_bracket",
    "state",
    "note",
)


def to_csv(table: Table) -> str:
    """The table's cells in order: row keys, column keys, then `FIELDS`; an empty field means no number.

    Numbers are on the scale of records (0.8762) in every unit that the table shows.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*table.row_names, *table.column_names, *FIELDS))
    for row, column, cell in table.walk():
        writer.writerow((*row, *column, *(getattr(cell, name) for name in FIELDS)))
    return text.getvalue()
