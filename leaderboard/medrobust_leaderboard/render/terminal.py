"""A table in the terminal; columns that do not fit go on in a further block below."""

from __future__ import annotations

from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from medrobust_leaderboard.table import STATES, Key, State, Table, TableCell, runs, summarize

from .numbers import PAPER, blank_repeats, describe_cells, footnotes, format_cell, row_labels, states_used

STYLES: Final[dict[State, str]] = {
    "reproduced": "green",
    "off": "yellow",
    "outside": "red",
    "substituted": "cyan",
    "flagged": "bold red",
    "missing": "dim",
    "failed": "bold red",
    "undefined": "yellow",
    "": "",
}
PADDING: Final = 2
"""Between columns: one blank and the box's own, empty divider."""
LABEL_WIDTH: Final = 24
WIDEST: Final = 100
"""Columns of a terminal beyond which rows are hard to follow with the eye."""
TO_ASCII: Final = str.maketrans({"–": "-", "−": "-", "✓": "=", "✗": "x", "≠": "!=", "·": "/", "ε": "eps", "ζ": "zeta"})


def to_terminal(table: Table, console: Console) -> None:
    """Print title, table, legend, notes and summary line, within the console's width."""
    console.print(Text(_plain(table.title, console), style="bold"))
    if table.caption:
        console.print(Text(_plain(table.caption, console)))
    texts = {
        (row, column): _cell(table.cell(row, column), table, console) for row in table.rows for column in table.columns
    }
    widths = {column: _width(column, [texts[row, column] for row in table.rows]) for column in table.columns}
    room = min(console.width, WIDEST) - _label_width(table)
    for columns in split_columns(table.columns, widths, room):
        console.print(_grid(table, columns, texts, console))
        console.print()
    for line in _below(table):
        console.print(Text(_plain(line, console), style="dim"))
    console.print(Text(_plain(summarize(table), console), style="bold"))


def split_columns(columns: tuple[Key, ...], widths: dict[Key, int], room: int) -> list[tuple[Key, ...]]:
    """Columns in blocks no wider than `room`, kept together by their first level where that fits."""
    blocks: list[tuple[Key, ...]] = []
    block: tuple[Key, ...] = ()
    position = 0
    for _, length in runs(columns, 0):
        group = columns[position : position + length]
        position += length
        if sum(widths[column] for column in (*block, *group)) <= room:
            block += group
            continue
        blocks.append(block)
        block = ()
        for column in group:
            if block and sum(widths[other] for other in (*block, column)) > room:
                blocks.append(block)
                block = ()
            block += (column,)
    return [block for block in (*blocks, block) if block]


def _grid(table: Table, columns: tuple[Key, ...], texts: dict[tuple[Key, Key], Text], console: Console) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, PADDING - 1, 0, 0), pad_edge=False, show_edge=False)
    depth = len(table.column_names)
    for name in table.row_names:
        grid.add_column(Text("\n" * (depth - 1) + _plain(name, console)), max_width=LABEL_WIDTH, overflow="fold")
    for key in blank_repeats(columns):
        grid.add_column(Text(_plain("\n".join(key), console)), overflow="fold")
    shown = row_labels(table)
    for index, row in enumerate(table.rows):
        group_ends = table.nested and len(row) > 1 and index + 1 < len(table.rows) and bool(shown[index + 1][0])
        labels = [Text(_plain(label, console)) for label in shown[index]]
        grid.add_row(*labels, *(texts[row, column] for column in columns), end_section=group_ends)
    return grid


def _cell(cell: TableCell, table: Table, console: Console) -> Text:
    parts = format_cell(cell, table)
    style = STYLES[parts.state]
    ours = [(parts.value, "bold")]
    if parts.bracket:
        ours.append((f" {parts.bracket}", ""))
    if parts.interval:
        # A bracket and an interval on one line are too wide for a table of several columns.
        ours.append((f"{chr(10) if parts.bracket else ' '}{parts.interval}", "dim"))
    paper = [(f"\n{PAPER} {parts.paper}", "dim")] if parts.paper else []
    paper += [(f" {parts.difference}", style)] if parts.difference else []
    marked = paper if parts.difference else ours
    marked += [(f" {parts.mark}", style)] if parts.mark else []
    marked += [(f" ({parts.footnote})", "dim")] if parts.footnote else []
    return Text.assemble(*((_plain(text, console), piece_style) for text, piece_style in (*ours, *paper)))


def _below(table: Table) -> list[str]:
    return [
        describe_cells(table),
        *(f"  {STATES[state].mark}  {STATES[state].meaning}" for state in states_used(table)),
        *(f"  ({letter}) {note}" for note, letter in footnotes(table).items()),
        *(f"  {note}" for note in table.notes),
    ]


def _width(column: Key, texts: list[Text]) -> int:
    lines = [line for text in texts for line in text.plain.split("\n")]
    # Outer labels may fold; the innermost label stays on one line.
    return max(map(len, [*lines, column[-1]])) + PADDING


def _label_width(table: Table) -> int:
    width = 0
    for level, name in enumerate(table.row_names):
        longest = max([len(name), *(len(row[level]) for row in table.rows)])
        width += min(LABEL_WIDTH, longest) + PADDING
    return width


def _plain(text: str, console: Console) -> str:
    if not console.options.ascii_only:
        return text
    return text.translate(TO_ASCII).encode("ascii", "replace").decode("ascii")
