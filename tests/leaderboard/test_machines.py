"""Footnotes on where numbers were computed."""

from __future__ import annotations

import json

import pandas as pd

from medrobust_leaderboard.machines import machine_note, machines_of, precision_note


def test_one_machine_needs_no_footnote() -> None:
    assert machine_note([("2.9.0", "X")] * 3) == ""
    assert machine_note([]) == ""


def test_several_are_named_with_their_cells() -> None:
    note = machine_note([("2.9.0+cpu", "X")] * 12 + [("2.9.0+cu128", "H100")])
    assert note == "Computed on 2 machines: torch 2.9.0+cpu on X (12 cells), torch 2.9.0+cu128 on H100 (1 cell)."


def test_builds_and_devices_come_from_the_records() -> None:
    rows = [{"cell": "a", "versions": json.dumps({"torch": "2"}), "hardware": "X"}, {"cell": "b"}]
    frame = pd.DataFrame(rows).astype(object).where(lambda f: f.notna(), None)
    assert machines_of(frame) == {"a": ("2", "X"), "b": ("", "")}


def test_precision_is_told_where_it_is_not_float32() -> None:
    assert precision_note(["", "float32"]) == ""
    assert precision_note(["", "float32", "mixed", "mixed"]) == (
        "Not all adversarial images were crafted in float32: 1 cell in float32, 2 cells in mixed."
    )
