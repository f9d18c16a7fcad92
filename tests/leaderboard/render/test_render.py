"""What all renderers owe: the same numbers, in order, nothing unescaped, never a NaN."""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from rich.console import Console

from medrobust_leaderboard.render import to_csv, to_html, to_latex, to_markdown, to_terminal
from medrobust_leaderboard.render.numbers import Form, blank_repeats, format_difference, format_number
from medrobust_leaderboard.render.terminal import split_columns
from medrobust_leaderboard.table import Table, TableCell, summarize


def terminal(table: Table, width: int = 100, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    to_terminal(table, Console(file=stream, width=width, color_system=None))
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined,no-any-return]


RENDERERS: dict[str, Callable[[Table], str]] = {
    "terminal": terminal,
    "markdown": to_markdown,
    "html": to_html,
    "latex": to_latex,
}
renderers = pytest.mark.parametrize("render", RENDERERS.values(), ids=RENDERERS)


def plain(text: str) -> str:
    """Text without markup and runs of blanks, so that renderings can be compared."""
    text = (
        re.sub(r"</?[a-z][^<>]*>", " ", text)
        .replace("$-$", "−")
        .replace("--", "–")
        .replace("{[}", "[")
        .replace("{]}", "]")
    )
    return re.sub(
        r"[ \n]+",
        " ",
        re.sub(r"\\\\|\\footnotesize|\\par|\\(begin|end)\{tabular\}(\[t\]\{@\{\}l@\{\}\})?|[{}]", " ", text),
    )


@renderers
@pytest.mark.parametrize(
    "part",
    ["87.6 [84.5, 90.1]", "paper 91.0 −3.4", "92.2 (14.1)", "paper 90.0 (12.0) +2.2", "– missing", "– undefined",
     "0.0 [0.0, 1.0]", "paper 0.1 −0.1", "25.0 paper 50.0 −25.0", "100.0"],
)  # fmt: skip
def test_every_renderer_shows_the_same_numbers(render: Callable[[Table], str], part: str, table: Table) -> None:
    # One row a table, so that lines of neighbouring cells do not interleave in the terminal.
    texts = [plain(render(single)) for single in one_cell_tables(table)]
    assert any(part in text for text in texts), texts


def one_cell_tables(table: Table) -> list[Table]:
    return [
        replace(table, rows=(row,), columns=(column,), cells={(row, column): cell})
        for row, column, cell in table.walk()
    ]


@renderers
def test_no_renderer_writes_nan_or_none(render: Callable[[Table], str], table: Table) -> None:
    words = re.findall(r"\w+", render(table).lower())
    assert not {"nan", "inf"} & set(words)
    assert "None" not in render(table)


@renderers
def test_rows_and_columns_keep_their_order(render: Callable[[Table], str], table: Table) -> None:
    text = render(table)
    for labels in (["PGD", "FGSM", "CW"], ["skin", "chest"]):
        places = [text.index(label) for label in labels]
        assert places == sorted(places)


@renderers
def test_every_renderer_ends_with_summary_and_notes(render: Callable[[Table], str], table: Table) -> None:
    text = plain(render(table))
    assert summarize(table) in text
    assert "one class only" in text
    assert "attack raised" in text
    assert "does not test the paper" in text


def test_csv_gives_back_every_cell_exactly(table: Table) -> None:
    lines = list(csv.DictReader(io.StringIO(to_csv(table))))
    walked = list(table.walk())
    assert len(lines) == len(walked) == 8
    for line, (row, column, cell) in zip(lines, walked, strict=True):
        assert (line["access"], line["attack"]) == row
        assert (line["dataset"], line["metric"]) == column
        for name in ("value", "low", "high", "reference", "difference", "bracket", "reference_bracket"):
            assert (float(line[name]) if line[name] else None) == getattr(cell, name)
        assert (int(line["n"]) if line["n"] else None) == cell.n
        assert (line["state"], line["note"]) == (cell.state, cell.note)


def test_html_escapes_and_is_balanced(table: Table) -> None:
    html = to_html(table)
    assert "<b>CW" not in html
    assert "&lt;b&gt;CW&lt;/b&gt;" in html
    assert "PGD &amp; co_1" in html
    assert unclosed(html) == []


def test_html_headers_have_scope_and_span(table: Table) -> None:
    html = to_html(table)
    assert '<th scope="colgroup" colspan="2">skin</th>' in html
    assert '<th scope="rowgroup" rowspan="2">white-box</th>' in html
    assert '<th scope="row">FGSM</th>' in html
    assert html.count("<td") == 9
    assert "<caption>" in html


def test_latex_escapes_its_special_characters(table: Table) -> None:
    latex = to_latex(table)
    assert r"PGD \& co\_1" in latex
    assert r"chest \textbar{} X-ray" in latex
    assert r"\textless{}50 \% at $\varepsilon$ = 1/255" in latex
    assert r"\multicolumn{2}{l}{skin}" in latex
    assert r"\cmidrule(lr){3-4} \cmidrule(lr){5-5}" in latex
    body = latex[latex.index(r"\midrule") : latex.index(r"\bottomrule")]
    # Each row has a cell for every column: separators that are not escaped, less the one of "co".
    assert len(re.findall(r"(?<!\\)&", body)) == 3 * 4


def test_markdown_has_as_many_fields_in_every_line(table: Table) -> None:
    lines = [line for line in to_markdown(table).splitlines() if line.startswith("|")]
    assert len(lines) == 5
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {6}
    assert r"chest \| X-ray" in lines[0]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_terminal_keeps_to_its_width(width: int, table: Table) -> None:
    lines = terminal(table, width).splitlines()
    assert max(map(len, lines)) <= width
    # Nothing is cut: every number is still on one line.
    assert any("paper 90.0 (12.0) +2.2 ~" in line for line in lines)


def test_a_narrow_terminal_splits_by_the_first_level(table: Table) -> None:
    assert sum(line.lstrip().startswith("access") for line in terminal(table, 140).splitlines()) == 1
    assert sum(line.lstrip().startswith("access") for line in terminal(table, 80).splitlines()) == 2


def test_columns_stay_together_where_they_fit() -> None:
    columns = (("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"), ("c", "1"))
    widths = dict.fromkeys(columns, 10)
    assert split_columns(columns, widths, 50) == [columns]
    assert split_columns(columns, widths, 30) == [columns[:2], columns[2:]]
    assert split_columns(columns, widths, 20) == [columns[:2], columns[2:4], columns[4:]]
    assert split_columns(columns, widths, 5) == [(column,) for column in columns]


def test_a_terminal_without_unicode_gets_ascii(table: Table) -> None:
    text = terminal(table, encoding="ascii")
    assert "paper 91.0 -3.4 x" in text


def test_a_fraction_is_shown_as_it_is() -> None:
    table = Table(
        id="t",
        title="T",
        row_names=("r",),
        rows=(("a",),),
        column_names=("c",),
        columns=(("b",),),
        cells={(("a",), ("b",)): TableCell(value=0.98765)},
        unit="fraction",
        decimals=3,
    )
    assert "0.988" in to_markdown(table)
    form = Form.of(TableCell(), table)
    assert format_number(None, form) == "–"
    assert format_difference(-0.0001, form) == "0.000"
    assert format_difference(0.0126, form) == "+0.013"


def test_a_count_is_a_whole_number_in_any_table() -> None:
    form = Form("count", 1)
    assert [format_number(v, form) for v in (0.0, 64.0, 550080.0)] == ["0", "64", "550,080"]
    assert [format_difference(v, form) for v in (0.0, 12.0, -199600.0)] == ["0", "+12", "−199,600"]


def test_labels_that_repeat_the_one_above_are_blank() -> None:
    keys = (("a", "x"), ("a", "y"), ("b", "y"))
    assert blank_repeats(keys) == [("a", "x"), ("", "y"), ("b", "y")]


def unclosed(html: str) -> list[str]:
    """Tags opened and not closed in order, by the standard library's parser."""

    class Balance(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in ("br", "meta", "img"):
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open[-1] == tag
            self.open.pop()

    parser = Balance()
    parser.feed(html)
    return parser.open
