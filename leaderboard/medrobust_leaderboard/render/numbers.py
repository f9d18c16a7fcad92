"""How numbers, marks, footnotes and legends are written, for all renderers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from medrobust_leaderboard.table import STATES, BracketStyle, Key, State, Table, TableCell, Unit

DASH: Final = "–"
MINUS: Final = "−"
PAPER: Final = "paper"
UNITS: Final[Mapping[Unit, str]] = {
    "percent": "in percent",
    "fraction": "as a fraction of one",
    "ratio": "as a ratio",
    "pixel range": "as a length where the range of a pixel is 1",
    "count": "as a number",
}


@dataclass(frozen=True)
class CellText:
    """A cell in words; an empty string where there is nothing to say.

    Mark and footnote belong to the difference where there is one, else to our value.
    """

    value: str
    bracket: str
    interval: str
    paper: str
    difference: str
    mark: str
    footnote: str
    state: State


class Form(NamedTuple):
    """How numbers of one cell are written."""

    unit: Unit
    decimals: int

    @classmethod
    def of(cls, cell: TableCell, table: Table) -> Form:
        """The form of a cell: the table's, unless it has its own."""
        return cls(cell.unit or table.unit, table.decimals)

    def text(self, value: float, sign: str = "") -> str:
        """A number in digits."""
        if self.unit == "count":
            return f"{value:{sign},.0f}"
        return f"{100.0 * value if self.unit == 'percent' else value:{sign}.{self.decimals}f}"


def format_number(value: float | None, form: Form) -> str:
    """A number as its cell shows it, a dash for none."""
    return DASH if value is None else _without_sign_of_zero(form.text(value)).replace("-", MINUS)


def format_difference(value: float | None, form: Form) -> str:
    """A signed number (+1.2, −3.4, 0.0), empty for none."""
    return "" if value is None else _without_sign_of_zero(form.text(value, "+")).replace("-", MINUS)


def format_cell(cell: TableCell, table: Table) -> CellText:
    """Every part of a cell as text."""
    form = Form.of(cell, table)
    has_interval = cell.low is not None and cell.high is not None and cell.value is not None
    paper = ""
    if cell.reference is not None:
        paper = format_number(cell.reference, form) + _in_brackets(cell.reference_bracket, table, form, space=True)
    return CellText(
        value=format_number(cell.value, form),
        bracket=_in_brackets(cell.bracket, table, form),
        interval=f"[{format_number(cell.low, form)}, {format_number(cell.high, form)}]" if has_interval else "",
        paper=paper,
        difference=format_difference(cell.difference, form),
        mark=STATES[cell.state].mark,
        footnote=footnotes(table).get(cell.note, "") if cell.note else "",
        state=cell.state,
    )


def footnotes(table: Table) -> dict[str, str]:
    """Each distinct note of a cell with its letter (a, b, ..., z, aa, ab, ...), in the order met."""
    notes = dict.fromkeys(cell.note for _, _, cell in table.walk() if cell.note)
    return {note: _letters(index) for index, note in enumerate(notes)}


def describe_cells(table: Table) -> str:
    """One sentence on how to read this table's cells."""
    cells = [cell for _, _, cell in table.walk()]
    compared = any(cell.reference is not None for cell in cells)
    parts = ["ours"] if compared else ["value"]
    if any(cell.bracket is not None for cell in cells):
        parts.append(f"(in brackets {_bracket_words(table)})")
    if any(cell.low is not None for cell in cells):
        parts.append("[95 % interval]")
    text = " ".join(parts)
    if compared:
        text += "; the paper's value and ours minus the paper's"
    others = dict.fromkeys(UNITS[c.unit] for c in cells if c.unit not in (None, table.unit))
    units = " or ".join((UNITS[table.unit], *others))
    return f"Each cell, {units}: {text}.{_describe_n(cells)}"


def states_used(table: Table) -> tuple[State, ...]:
    """The states that occur and need a legend, in the order of `STATES`."""
    used = {cell.state for _, _, cell in table.walk()}
    return tuple(state for state, meaning in STATES.items() if state in used and meaning.mark)


def flat_label(key: Key, separator: str = " · ") -> str:
    """A key of several levels on one line."""
    return separator.join(label for label in key if label)


def row_labels(table: Table) -> list[Key]:
    """The labels of each row as it shows them: those of nested rows that only repeat are left out."""
    return blank_repeats(table.rows) if table.nested else list(table.rows)


def blank_repeats(keys: tuple[Key, ...]) -> list[Key]:
    """Keys with every label that only repeats the one above it left out, as printed tables do."""
    blanked: list[Key] = []
    for index, key in enumerate(keys):
        above = keys[index - 1] if index else ()
        same = [key[: level + 1] == above[: level + 1] for level in range(len(key))]
        # The innermost label always stays: it distinguishes the rows.
        blanked.append(tuple("" if same[level] and level < len(key) - 1 else label for level, label in enumerate(key)))
    return blanked


def _describe_n(cells: list[TableCell]) -> str:
    counts = [cell.n for cell in cells if cell.n is not None]
    if not counts:
        return ""
    least, most = min(counts), max(counts)
    return f" n = {least}." if least == most else f" n = {least} to {most}."


def _in_brackets(value: float | None, table: Table, form: Form, *, space: bool = False) -> str:
    if value is None:
        return ""
    own = Form(table.bracket.unit, table.bracket.decimals) if table.bracket else form
    sign = " %" if own.unit == "percent" != form.unit else ""
    return f"{' ' if space else ''}({format_number(value, own)}{sign})"


def _bracket_words(table: Table) -> str:
    style = table.bracket or BracketStyle(unit=table.unit)
    return style.label if style.unit == table.unit else f"{style.label}, {UNITS[style.unit]}"


def _without_sign_of_zero(text: str) -> str:
    return text.lstrip("+-") if float(text.replace(",", "")) == 0.0 else text


def _letters(index: int) -> str:
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters
