"""The command `verify`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from medrobust.api import Store
from medrobust.results.schema import KEYS, TABLES
from medrobust.results.store import cell_of_record
from medrobust.results.tables import stem_of

Program = Callable[..., Any]
GRID = """
[[grid]]
dataset = "textures"
model = "tiny-net"
attack = ["sign", { name = "steps", steps = [1, 4] }]
budget = "linf:8/255"
"""


def change(store: Store, table: str, cell: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the rows of one cell."""
    for file in store.tables.names(table):
        rows = store.tables.read_file(table, file).to_pylist()
        for row in rows:
            if cell_of_record(row[KEYS[table]]) == cell:
                change(row)
        store.tables.replace(table, stem_of(file), [file], pa.Table.from_pylist(rows, schema=TABLES[table]))


@pytest.fixture
def ran(program: Program, tmp_path: Path) -> Program:
    """The program, after a run of four cells."""
    (tmp_path / "grid.toml").write_text(GRID)
    program("run", "grid.toml")
    return program


def test_a_store_that_holds_is_told_so(ran: Program) -> None:
    told = ran("verify", "medrobust-store", "--sample", 3)
    assert told.status == 0, told
    assert told.out.count("equal") == 3 + 1
    assert "3 cells, drawn with --seed " in told.out
    assert ": 3 equal.\n" in told.out
    assert "Next: medrobust leaderboard medrobust-store --plugin " in told.out


def test_a_forged_record_is_named(ran: Program, tmp_path: Path) -> None:
    store = Store(tmp_path / "medrobust-store")
    frame = store.cells(["attack"])
    cell = str(frame[frame["attack"] == "sign"]["cell"].iloc[0])
    change(store, "samples", cell, lambda row: row.update(logits=row["logits"][::-1]))
    told = ran("verify", "medrobust-store", "--seed", 3)
    assert told.status == 1, told
    assert "4 cells, drawn with --seed 3: 3 equal, 1 different." in told.out
    assert f"{cell[:8]}: different: logits differ by up to " in told.out
    assert f"Next: medrobust why {cell} --store medrobust-store --plugin " in told.out
    facts = json.loads(ran("verify", "medrobust-store", "--seed", 3, "--json").out)
    assert facts["outcomes"] == {"equal": 3, "different": 1}
    (found,) = [each for each in facts["cells"] if each["outcome"] == "different"]
    assert found["cell"] == cell
    assert len(found["images"]) == 24


@pytest.mark.long
def test_records_of_another_machine_that_differ_in_no_decision_are_pointed_out(ran: Program, tmp_path: Path) -> None:
    store = Store(tmp_path / "medrobust-store")
    cell = str(store.cells(["cell"])["cell"].iloc[0])
    change(store, "samples", cell, lambda row: row.update(logits=[x + 0.01 for x in row["logits"]]))
    assert "another machine" not in ran("verify", "medrobust-store").out
    change(store, "cells", cell, lambda row: row.update(hardware="Abacus"))
    told = ran("verify", "medrobust-store")
    assert told.status == 1
    assert "made with Abacus (here " in told.out
    assert "1 of the different records name another machine and differ in no decision." in told.out


def test_what_cannot_be_run_here_has_a_status_of_its_own(ran: Program) -> None:
    told = ran("verify", "medrobust-store", "--seed", 0, plugins=())
    assert told.status == 3, told
    assert "4 cells, drawn with --seed 0: 4 cannot be run here." in told.out
    assert "is called 'tiny:" in told.out


def test_training_anew_is_said(ran: Program) -> None:
    told = ran("verify", "medrobust-store", "--sample", 2, "--seed", 1, "--refit")
    assert told.status == 0, told
    assert "2 cells, drawn with --seed 1 and trained anew: 2 equal." in told.out


def test_an_empty_store_has_nothing_to_verify(program: Program, tmp_path: Path) -> None:
    Store(tmp_path / "empty").create()
    told = program("verify", "empty")
    assert told.status == 1
    assert "empty holds no results to verify; 'medrobust run GRID --store empty' computes some" in told.err
