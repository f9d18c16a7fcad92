"""The commands `store ls` and `store prune`, and what `why` says of a record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medrobust.api import Store
from medrobust.commands.store import human_bytes

Program = Callable[..., Any]
GRID = """
[define]
net = { name = "tiny-net", recipe = { epochs = 1 } }

[[grid]]
dataset = "textures"
model = "@net"
attack = ["none", "sign", "misbehaving"]
budget = "linf:8/255"
"""


@pytest.fixture
def ran(program: Program, tmp_path: Path) -> Program:
    """The program, after two runs of which the second trained for longer."""
    for epochs in (1, 2):
        (tmp_path / "grid.toml").write_text(GRID.replace("epochs = 1", f"epochs = {epochs}"))
        program("run", "grid.toml")
    return program


def test_ls_counts_by_state(ran: Program) -> None:
    told = ran("store", "ls", "medrobust-store", plugins=())
    assert told.status == 0
    assert "6 cells: 2 current, 3 superseded, 1 failed, 0 missing; " in told.out
    assert "Superseded by: target.model.recipe.epochs 1 instead of 2 (3)." in told.out
    assert told.out.rstrip().endswith("Next: medrobust store prune medrobust-store --dry-run")
    assert "misbehaving" in told.out


def test_ls_for_programs(ran: Program) -> None:
    facts = json.loads(ran("store", "ls", "medrobust-store", "--json", plugins=()).out)
    assert facts["cells"] == {"current": 2, "superseded": 3, "failed": 1, "missing": 0}
    assert facts["bytes"]["samples"] > 0
    row = next(r for r in facts["results"] if r["attack"] == "sign")
    assert row == {
        "dataset": "textures",
        "model": "net",
        "attack": "sign",
        "current": 1,
        "superseded": 1,
        "failed": 0,
        "missing": 0,
    }


def test_prune_says_what_goes_and_what_stays(ran: Program, tmp_path: Path) -> None:
    dry = ran("store", "prune", "medrobust-store", "--dry-run", plugins=())
    assert "Would remove 3 superseded cells, 1 failed cell, " in dry.out
    assert "2 cells kept." in dry.out
    assert "Next: medrobust store prune medrobust-store\n" in dry.out
    store = Store(tmp_path / "medrobust-store")
    assert len(store.cells()) == 6
    done = ran("store", "prune", "medrobust-store", "--superseded", plugins=())
    assert done.out.startswith("Removed 3 superseded cells, ")
    assert sorted(Store(store.path).cells()["status"]) == ["failed", "ok", "ok"]
    assert "Removed 1 failed cell" in ran("store", "prune", "medrobust-store", plugins=()).out
    assert ran("store", "prune", "medrobust-store", plugins=()).out == "Nothing to remove; 2 cells kept.\n"


def test_a_place_without_a_store_is_named(program: Program) -> None:
    told = program("store", "ls", "nowhere", plugins=())
    assert told.status == 1
    assert "nowhere is not a store; 'medrobust run GRID --store nowhere' creates one" in told.err


def test_why_names_build_hardware_and_precision(ran: Program, tmp_path: Path) -> None:
    frame = Store(tmp_path / "medrobust-store").cells()
    cell = frame[frame["attack"] == "sign"]["cell"].iloc[0]
    told = ran("why", cell)
    versions, hardware = json.loads(frame.loc[cell, "versions"]), frame.loc[cell, "hardware"]
    assert f"  computed by torch {versions['torch']} on {hardware}, crafted in float32\n" in told.out


@pytest.mark.parametrize(("count", "text"), [(0, "0 bytes"), (1500, "1.5 kB"), (2 * 10**9, "2.0 GB")])
def test_sizes_read_well(count: int, text: str) -> None:
    assert human_bytes(count) == text
