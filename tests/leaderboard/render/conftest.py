"""One table that has every kind of cell; its numbers are invented."""

import pytest

from medrobust_leaderboard.table import Table, TableCell


@pytest.fixture
def table() -> Table:
    rows = (("white-box", "PGD & co_1"), ("white-box", "FGSM"), ("transfer", "<b>CW</b>"))
    columns = (("skin", "accuracy"), ("skin", "AUC"), ("chest | X-ray", "accuracy"))
    cells = {
        (rows[0], columns[0]): TableCell(value=0.8762, low=0.845, high=0.901, n=240, reference=0.9103, state="outside"),
        (rows[0], columns[1]): TableCell(
            value=0.922, bracket=0.141, n=540, reference=0.9, reference_bracket=0.12, state="substituted"
        ),
        (rows[0], columns[2]): TableCell(reference=0.5, state="missing"),
        (rows[1], columns[0]): TableCell(state="undefined", note="one class only & 100 % of it"),
        (rows[1], columns[1]): TableCell(value=0.00049, low=0.0, high=0.01, reference=0.001, state="reproduced"),
        (rows[1], columns[2]): TableCell(value=float("nan"), state="failed", note="attack raised | <Error>"),
        (rows[2], columns[0]): TableCell(value=0.25, reference=0.5, state="off"),
        (rows[2], columns[1]): TableCell(value=1.0),
    }
    return Table(
        id="table2",
        title="Table 2 & more_",
        caption="Accuracy <50 % at ε = 1/255.",
        row_names=("access", "attack"),
        rows=rows,
        column_names=("dataset", "metric"),
        columns=columns,
        cells=cells,
        notes=("A note_on 100 % & all.",),
    )
