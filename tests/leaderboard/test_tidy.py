"""One tidy table, which other programs read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from medrobust import AXES, Store
from medrobust_leaderboard.table import Table, TableCell
from medrobust_leaderboard.tidy import PAPER_COLUMNS, STORE_COLUMNS, tidy_tables, to_csv, to_json

Program = Callable[..., Any]
GRID = """
[[grid]]
dataset = ["textures", { name = "textures", classes = 3 }]
model = "tiny-net"
attack = ["none", "sign", { name = "misbehaving", fault = "raises" }]
budget = ["linf:8/255", "linf:16/255"]
seed = [0, 1]
"""


def test_pandas_reads_a_store_as_one_table(program: Program, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID)
    program("run", "grid.toml")
    told = program("leaderboard", "medrobust-store", "--format", "csv")
    assert told.status == 0
    frame = pd.read_csv(io.StringIO(told.out))
    assert tuple(frame.columns) == STORE_COLUMNS
    assert set(AXES) - {"seed"} <= set(frame.columns)
    # One clean record and two attacks at two radii for each data set; seeds are joined.
    assert len(frame) == 2 * (1 + 2 * 2)
    good = frame[frame["state"] == "ok"]
    assert len(good) == 6
    assert good["value"].between(0, 1).all()
    assert set(good["seeds"]) == {"0; 1"}
    assert good["torch"].notna().all()
    cells = good["cells"].str.split("; ").explode()
    stored = Store(tmp_path / "medrobust-store").cells()
    assert sorted(cells) == sorted(stored.index[stored["status"] == "ok"])
    failed = frame[frame["state"] == "failed"]
    assert failed["value"].isna().all()
    assert failed["note"].str.contains("broke").all()
    rows = json.loads(program("leaderboard", "medrobust-store", "--format", "json").out)
    assert [tuple(row) for row in rows] == [STORE_COLUMNS] * len(frame)
    assert [row["value"] is None for row in rows] == frame["value"].isna().tolist()


def test_a_file_is_written_where_asked_for(program: Program, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID)
    program("run", "grid.toml", "--images", "4")
    told = program("leaderboard", "medrobust-store", "--format", "csv", "--out", "tables", "--metric", "mean_l2")
    assert told.out == "wrote tables/leaderboard.csv\n"
    frame = pd.read_csv(tmp_path / "tables" / "leaderboard.csv")
    assert set(frame["metric"]) == {"mean_l2"}
    assert set(frame["unit"]) == {"pixel range"}


def test_tables_of_a_paper_are_one_table_too() -> None:
    facts = {"attack": "pgd", "metric": "accuracy", "cells": "abc", "seeds": "0"}
    tables = [
        Table(
            id=f"table{number}",
            title="",
            row_names=("attack",),
            rows=(("PGD",),),
            column_names=names,
            columns=(columns,),
            cells={(("PGD",), columns): TableCell(value=0.5, reference=0.25, state="off", facts=facts)},
        )
        for number, names, columns in ((1, ("data",), ("skin",)), (2, ("data", "eps"), ("eye", "1/255")))
    ]
    rows = tidy_tables(tables)
    frame = pd.read_csv(io.StringIO(to_csv(rows, PAPER_COLUMNS)))
    assert tuple(frame.columns) == PAPER_COLUMNS
    assert frame[["table", "row", "column", "attack", "value", "difference", "cells"]].values.tolist() == [
        ["table1", "PGD", "skin", "pgd", 0.5, 0.25, "abc"],
        ["table2", "PGD", "eye · 1/255", "pgd", 0.5, 0.25, "abc"],
    ]
    assert [tuple(row) for row in json.loads(to_json(rows, PAPER_COLUMNS))] == [PAPER_COLUMNS] * 2
