"""What a run says at its end: what was computed, and each reason for a failure once."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from medrobust.api import Outcome
from medrobust.commands import console, print_outcome


def test_failed_cells_are_not_counted_as_computed(capsys: pytest.CaptureFixture[str]) -> None:
    problems = [(f"c{i}", "failed", f"pgd, seed {i} raised ValueError: no at a.py:3") for i in range(5)]
    problems += [("d", "invalid", "3 of 9 images leave the box"), ("e", "failed", "no such class")]
    print_outcome(Outcome(made=10, cached=2, problems=tuple(problems), excluded=1, seconds=3.2), Path("kept"))
    shown = capsys.readouterr()
    assert shown.out == (
        "12 cells: 2 already in the store, 3 computed in 3 s, 6 failed, 1 invalid. 1 combination excluded ('medrobust "
        "plan' lists the reasons).\nRecords: kept\n"
    )
    assert shown.err.splitlines() == [
        "failed (5 cells: c0, c1, c2 and 2 more): pgd, seed 0 and 4 others raised ValueError: no at a.py:3",
        "invalid (1 cell: d): 3 of 9 images leave the box",
        "failed (1 cell: e): no such class",
    ]


def test_what_is_impossible_is_told_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_outcome(Outcome(made=0, cached=1, impossible=("put [it] there",)), Path("kept"))
    shown = capsys.readouterr()
    assert shown.out.startswith("1 cell: 1 already in the store, 0 computed in 0 s.\n")
    assert shown.err == "impossible here: put [it] there\n"


def test_names_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "mine\x1b[2J\x1b]0;x\x07\u202ecod\x9b\r"
    table = Table("attack")
    table.add_row(Text(hostile))
    console.print(table)
    console.print(hostile, markup=False)
    shown = capsys.readouterr().out
    assert "mine\\x1b[2J" in shown
    assert not [letter for letter in shown if letter in "\x1b\x07\u202e\x9b\r"]
