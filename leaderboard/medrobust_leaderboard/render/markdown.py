"""A GitHub table; levels of a header are joined, since Markdown has one header row."""

from __future__ import annotations

import re

from medrobust.commands import harmless
from medrobust_leaderboard.table import STATES, Table, TableCell, summarize

from .numbers import PAPER, describe_cells, flat_label, footnotes, format_cell, row_labels, states_used


def to_markdown(table: Table) -> str:
    """The table with title, caption, notes, legend and summary line, as GitHub renders it."""
    headers = [*map(_escape, table.row_names), *(_escape(flat_label(column)) for column in table.columns)]
    lines = [f"### {_escape(table.title)}", ""]
    if table.caption:
        lines += [_escape(table.caption), ""]
    lines += [_line(headers), _line([":--"] * len(headers))]
    for row, labels in zip(table.rows, row_labels(table), strict=True):
        cells = [_cell(table.cell(row, column), table) for column in table.columns]
        lines.append(_line([*map(_escape, labels), *cells]))
    lines += ["", _escape(describe_cells(table)), ""]
    lines += [f"- {_escape(STATES[state].mark)}: {_escape(STATES[state].meaning)}" for state in states_used(table)]
    lines += [f"- ({letter}) {_escape(note)}" for note, letter in footnotes(table).items()]
    lines += [f"- {_escape(note)}" for note in table.notes]
    lines += ["", f"**{summarize(table)}**", ""]
    return "\n".join(lines)


def _cell(cell: TableCell, table: Table) -> str:
    text = format_cell(cell, table)
    mark = f" {text.mark}" if text.mark else ""
    mark += f" ({text.footnote})" if text.footnote else ""
    ours = " ".join(part for part in (text.value, text.bracket, text.interval) if part)
    if not text.paper:
        return _escape(ours + mark)
    paper = " ".join(part for part in (PAPER, text.paper, text.difference) if part)
    ours, paper = (ours, paper + mark) if text.difference else (ours + mark, paper)
    return f"{_escape(ours)}<br>{_escape(paper)}"


def _line(fields: list[str]) -> str:
    return f"| {' | '.join(fields)} |"


def _escape(text: str) -> str:
    one_line = harmless(" ".join(text.split()))
    # A link needs "](" or "]:", which an interval after a number has not; an entity would become another character.
    escaped = re.sub(r"([\\|<*`~]|\](?=[(\[:]))", r"\\\1", one_line)
    return re.sub(r"&(?=#?\w+;)", "&amp;", escaped)
