"""Patients whose images the model was trained on: said beside every number that rests on them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Program = Callable[..., Any]
GRID = """
[[grid]]
dataset = [{ name = "textures", shared = "published" }, "textures"]
model = { name = "tiny-net", recipe = { epochs = 1 } }
attack = "sign"
budget = "linf:8/255"
"""
NOTE = "1 of 11 groups (patients) of these images is in 'train' as well, 1 in 'val'"


@pytest.fixture
def ran(program: Program, tmp_path: Path) -> Program:
    (tmp_path / "grid.toml").write_text(GRID)
    assert program("run", "grid.toml").status == 0
    return program


def test_each_number_has_its_footnote(ran: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    told = ran("leaderboard", "medrobust-store", "--format", "markdown", "--metric", "accuracy").out
    first, second = told.split("# tiny-net", 2)[1:]
    published = first if "published" in first.splitlines()[0] else second
    other = second if published is first else first
    assert NOTE in published
    assert NOTE not in other


def test_the_ranking_says_so_of_its_rows(ran: Program) -> None:
    told = ran("leaderboard", "medrobust-store", "--format", "markdown").out
    tables = {text.splitlines()[0]: text for text in told.split("### ")[1:]}
    models = {title: NOTE in text for title, text in tables.items() if title.startswith("Models")}
    assert models == {"Models on textures(shared=published), linf:8/255": True, "Models on textures, linf:8/255": False}


def test_programs_are_told_too(ran: Program) -> None:
    text = ran("leaderboard", "medrobust-store", "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 4
    for row in rows:
        assert (NOTE in row["note"]) == ("published" in row["dataset"])
