"""A semantic HTML table: headers with scope and span, a caption, states as classes and as words."""

from __future__ import annotations

import html
from collections.abc import Callable

from medrobust.commands import harmless
from medrobust_leaderboard.table import STATES, Key, Table, TableCell, runs, summarize

from .numbers import PAPER, describe_cells, footnotes, format_cell, states_used


def escape(text: str) -> str:
    """A text as HTML shows it, without what steers the direction of others."""
    return html.escape(harmless(text))


Link = Callable[[TableCell], str]
"""The address of what is behind a number; empty where there is none."""


def to_html(table: Table, link: Link | None = None) -> str:
    """A `<figure>` that holds the table and, below it, how to read it, the notes and the summary line.

    Args:
        table: what to show.
        link: where each number leads; without it there are no links.
    """
    lines = [
        f'<figure class="table" id="{escape(table.id)}">',
        '<div class="scroll" tabindex="0" role="region" aria-label="' + escape(table.title) + '">',
        "<table>",
        f"<caption><div><strong>{escape(table.title)}</strong>{_caption(table)}</div></caption>",
        "<thead>",
        *_head(table),
        "</thead>",
        "<tbody>",
        *_body(table, link or _nowhere),
        "</tbody>",
        "</table>",
        "</div>",
        "<figcaption>",
        f'<p class="summary">{escape(summarize(table))}</p>',
        f"<p>{escape(describe_cells(table))} {_legend(table)}</p>",
        *_notes(table),
        "</figcaption>",
        "</figure>",
    ]
    return "\n".join(lines) + "\n"


def _caption(table: Table) -> str:
    return f" {escape(table.caption)}" if table.caption else ""


def _head(table: Table) -> list[str]:
    depth = len(table.column_names)
    lines = []
    for level in range(depth):
        cells = []
        if level == 0:
            span = f' rowspan="{depth}"' if depth > 1 else ""
            cells += [f'<th scope="col"{span}>{escape(name)}</th>' for name in table.row_names]
        for label, length in runs(table.columns, level):
            span = f' colspan="{length}"' if length > 1 else ""
            scope = "colgroup" if length > 1 else "col"
            cells.append(f'<th scope="{scope}"{span}>{escape(label)}</th>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return lines


def _nowhere(cell: TableCell) -> str:
    return ""


def _body(table: Table, link: Link) -> list[str]:
    # For each level, the row headers still to be written: a header is written where its run begins.
    levels = range(len(table.row_names))
    starts = [_starts(table.rows, n) if table.nested else dict.fromkeys(range(len(table.rows)), 1) for n in levels]
    lines = []
    for index, row in enumerate(table.rows):
        cells = []
        for level, start in enumerate(starts):
            if index not in start:
                continue
            length = start[index]
            span = f' rowspan="{length}"' if length > 1 else ""
            scope = "rowgroup" if length > 1 else "row"
            cells.append(f'<th scope="{scope}"{span}>{escape(row[level])}</th>')
        cells += [_cell(table.cell(row, column), table, link) for column in table.columns]
        group = ' class="group"' if index and index in starts[0] and len(starts) > 1 and table.nested else ""
        lines.append(f"<tr{group}>{''.join(cells)}</tr>")
    return lines


def _starts(rows: tuple[Key, ...], level: int) -> dict[int, int]:
    starts, position = {}, 0
    for _, length in runs(rows, level):
        starts[position] = length
        position += length
    return starts


def _cell(cell: TableCell, table: Table, link: Link) -> str:
    text = format_cell(cell, table)
    value, address = f'<b class="value">{escape(text.value)}</b>', link(cell)
    ours = [f'<a href="{escape(address)}">{value}</a>' if address else value]
    ours += [f'<span class="bracket">{escape(text.bracket)}</span>'] if text.bracket else []
    ours += [f'<span class="interval">{escape(text.interval)}</span>'] if text.interval else []
    paper = [f'<span class="paper">{PAPER} {escape(text.paper)}</span>'] if text.paper else []
    paper += [f'<span class="difference">{escape(text.difference)}</span>'] if text.difference else []
    marked = paper if text.difference else ours
    if text.mark:
        marked.append(f'<span class="mark" title="{escape(STATES[cell.state].meaning)}">{escape(text.mark)}</span>')
    marked += [f'<sup title="{escape(cell.note)}">{escape(text.footnote)}</sup>'] if text.footnote else []
    state = f' class="state-{text.state}"' if text.state else ""
    return f"<td{state}>{'<br>'.join(' '.join(line) for line in (ours, paper) if line)}</td>"


def _legend(table: Table) -> str:
    return " ".join(
        f'<span class="legend state-{state}"><span class="mark">{escape(STATES[state].mark)}</span> '
        f"{escape(STATES[state].meaning)}.</span>"
        for state in states_used(table)
    )


def _notes(table: Table) -> list[str]:
    items = [f"<li><sup>{letter}</sup> {escape(note)}</li>" for note, letter in footnotes(table).items()]
    items += [f"<li>{escape(note)}</li>" for note in table.notes]
    return ['<ul class="notes">', *items, "</ul>"] if items else []
