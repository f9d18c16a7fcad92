"""A LaTeX table; needs the package booktabs and nothing else."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Final

from medrobust.commands import harmless
from medrobust_leaderboard.table import STATES, State, Table, TableCell, runs, summarize

from .numbers import PAPER, describe_cells, footnotes, format_cell, row_labels, states_used

SPECIAL: Final = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        # Before a question mark or an exclamation mark a backtick turns it round.
        "`": r"\textasciigrave{}",
        # An opening bracket after \\ would be read as that command's argument.
        "[": "{[}",
        "]": "{]}",
        "–": "--",
        "−": "$-$",
        "±": r"$\pm$",
        "×": r"$\times$",
        "·": r"$\cdot$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "≠": r"$\neq$",
        "→": r"$\rightarrow$",
        "∞": r"$\infty$",
        "ℓ": r"$\ell$",
        "ε": r"$\varepsilon$",
        "ζ": r"$\zeta$",
        "κ": r"$\kappa$",
    }
)
MARKS: Final[dict[State, str]] = {"reproduced": r"$\surd$", "outside": r"$\times$", "substituted": r"$\sim$"}


def to_latex(table: Table) -> str:
    """A `table` environment with multi-level headers, notes below, and the label `tab:<id>`."""
    width = len(table.row_names) + len(table.columns)
    lines = [
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{\textbf{{{_escape(table.title)}}} {_escape(table.caption)}}}",
        # Characters such as _ are allowed in a label as they are.
        rf"\label{{tab:{table.id}}}",
        rf"\begin{{tabular}}{{@{{}}{'l' * width}@{{}}}}",
        r"\toprule",
        *_head(table),
        r"\midrule",
        *_body(table),
        r"\bottomrule",
        r"\end{tabular}",
        "",
        r"\smallskip",
        r"\begin{minipage}{\linewidth}\footnotesize",
        rf"{_escape(describe_cells(table))}",
        *(rf"{_mark(state)}: {_escape(STATES[state].meaning)}." for state in states_used(table)),
        *(rf"\par\textsuperscript{{{letter}}} {_escape(note)}" for note, letter in footnotes(table).items()),
        *(rf"\par {_escape(note)}" for note in table.notes),
        rf"\par {_escape(summarize(table))}.",
        r"\end{minipage}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _head(table: Table) -> list[str]:
    first = len(table.row_names)
    lines = []
    for level in range(len(table.column_names)):
        innermost = level == len(table.column_names) - 1
        names = [_escape(name) if innermost else "" for name in table.row_names]
        spans = runs(table.columns, level)
        labels = [
            rf"\multicolumn{{{length}}}{{l}}{{{_escape(label)}}}" if length > 1 else _escape(label)
            for label, length in spans
        ]
        lines.append(" & ".join([*names, *labels]) + r" \\")
        if not innermost:
            ends = list(accumulate((length for _, length in spans), initial=first))
            rules = [rf"\cmidrule(lr){{{start + 1}-{end}}}" for start, end in pairwise(ends)]
            lines.append(" ".join(rules))
    return lines


def _body(table: Table) -> list[str]:
    lines = []
    for index, (row, labels) in enumerate(zip(table.rows, row_labels(table), strict=True)):
        if index:
            group_begins = table.nested and len(row) > 1 and bool(labels[0])
            lines.append(r"\addlinespace[1ex]" if group_begins else r"\addlinespace[0.4ex]")
        cells = [_cell(table.cell(row, column), table) for column in table.columns]
        lines.append(" & ".join([*map(_escape, labels), *cells]) + r" \\")
    return lines


def _cell(cell: TableCell, table: Table) -> str:
    text = format_cell(cell, table)
    ours = _escape(" ".join(part for part in (text.value, text.bracket, text.interval) if part))
    mark = f" {_mark(text.state)}" if text.mark else ""
    mark += rf"\textsuperscript{{{text.footnote}}}" if text.footnote else ""
    if not text.paper:
        return ours + mark
    paper = _escape(" ".join(part for part in (PAPER, text.paper, text.difference) if part))
    ours, paper = (ours, paper + mark) if text.difference else (ours + mark, paper)
    # A tabular aligned at its first line, so that the row's label stands beside our value.
    return rf"\begin{{tabular}}[t]{{@{{}}l@{{}}}}{ours}\\{{\footnotesize {paper}}}\end{{tabular}}"


def _mark(state: State) -> str:
    return MARKS.get(state, _escape(STATES[state].mark))


def _escape(text: str) -> str:
    return harmless(" ".join(text.split())).translate(SPECIAL)
