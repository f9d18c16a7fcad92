"""The table model: order kept, states counted, no NaN, keys checked."""

import math

import pytest

from medrobust_leaderboard.table import EMPTY, STATES, Table, TableCell, count_states, runs, summarize

ROWS = (("PGD",), ("FGSM",))
COLUMNS = (("skin", "accuracy"), ("skin", "AUC"), ("chest", "accuracy"))


def make_table(cells: dict[tuple[tuple[str, ...], tuple[str, ...]], TableCell]) -> Table:
    return Table(
        id="t",
        title="T",
        row_names=("attack",),
        rows=ROWS,
        column_names=("dataset", "metric"),
        columns=COLUMNS,
        cells=cells,
    )


def test_the_difference_is_ours_minus_the_papers() -> None:
    assert TableCell(value=0.75, reference=0.5).difference == 0.25
    assert TableCell(value=0.75).difference is None
    assert TableCell(reference=0.75).difference is None


@pytest.mark.parametrize("absent", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_none(absent: float) -> None:
    cell = TableCell(value=absent, low=absent, high=absent, reference=absent, bracket=absent, reference_bracket=absent)
    assert cell == EMPTY


def test_a_comparison_needs_two_numbers() -> None:
    with pytest.raises(ValueError, match="both a value and a reference"):
        TableCell(value=0.5, state="reproduced")
    with pytest.raises(ValueError, match="both a value and a reference"):
        TableCell(value=math.nan, reference=0.5, state="outside")


def test_an_unknown_state_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown cell state 'good'"):
        TableCell(value=0.5, state="good")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "columns", "cells", "message"),
    [
        ((("PGD", "x"),), COLUMNS, {}, "row key .* one label for each"),
        (ROWS, (("skin",),), {}, "column key .* one label for each"),
        ((("PGD",), ("PGD",)), COLUMNS, {}, "more than once"),
        (ROWS, COLUMNS, {(("BIM",), COLUMNS[0]): EMPTY}, "in no row and column"),
    ],
)
def test_keys_that_do_not_fit_are_refused(rows: object, columns: object, cells: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Table(
            id="t",
            title="T",
            row_names=("attack",),
            rows=rows,  # type: ignore[arg-type]
            column_names=("dataset", "metric"),
            columns=columns,  # type: ignore[arg-type]
            cells=cells,  # type: ignore[arg-type]
        )


def test_cells_are_walked_in_the_order_of_rows_and_columns() -> None:
    cells = {
        (("FGSM",), COLUMNS[0]): TableCell(value=0.1),
        (("PGD",), COLUMNS[2]): TableCell(value=0.2),
        (("PGD",), COLUMNS[1]): TableCell(value=0.3),
    }
    table = make_table(cells)
    assert [cell.value for _, _, cell in table.walk()] == [0.3, 0.2, 0.1]
    assert table.cell(("FGSM",), COLUMNS[1]) is EMPTY


def test_the_summary_counts_every_cell_once() -> None:
    cells = {
        (("PGD",), COLUMNS[0]): TableCell(value=0.5, reference=0.5, state="reproduced"),
        (("PGD",), COLUMNS[1]): TableCell(value=0.5, reference=0.1, state="outside"),
        (("FGSM",), COLUMNS[0]): TableCell(value=0.5, reference=0.5, state="substituted"),
        (("FGSM",), COLUMNS[1]): TableCell(value=0.5, reference=0.2, state="substituted"),
    }
    table = make_table(cells)
    assert summarize(table) == "4 cells: 1 reproduced, 1 outside the interval, 2 on substituted data, 0 missing"
    assert summarize([table, table]).startswith("8 cells: 2 reproduced")
    assert count_states([table])["substituted"] == 2
    assert list(count_states([])) == list(STATES)


def test_one_cell_is_singular() -> None:
    assert summarize(make_table({(("PGD",), COLUMNS[0]): TableCell(state="missing")})) == "1 cell: 1 missing"


def test_header_spans_join_neighbours_only() -> None:
    assert runs(COLUMNS, 0) == (("skin", 2), ("chest", 1))
    assert runs(COLUMNS, 1) == (("accuracy", 1), ("AUC", 1), ("accuracy", 1))
    assert runs((("a", "x"), ("b", "x"), ("a", "x")), 0) == (("a", 1), ("b", 1), ("a", 1))
    # The same inner label under another outer one begins a new span.
    assert runs((("a", "x"), ("b", "x")), 1) == (("x", 1), ("x", 1))
