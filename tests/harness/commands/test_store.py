"""The commands `store ls`, `store check` and `store prune`, and what `why` says of a record."""

from __future__ import annotations

import json
import re
import shlex
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


@pytest.fixture
def damaged(program: Program, tmp_path: Path) -> Program:
    """The program, after a run of which the samples of the attack were then damaged."""
    (tmp_path / "grid.toml").write_text(GRID.replace(', "misbehaving"', ""))
    assert program("run", "grid.toml").status == 0
    store = Store(tmp_path / "medrobust-store")
    frame = store.cells()
    row = frame[frame["attack"] == "sign"].iloc[0]
    (file,) = (f for f in store.tables.names("samples") if f.name.startswith(f"samples/{row['step']}-"))
    data = bytearray((store.path / file.name).read_bytes())
    data[200:240] = bytes(40)
    (store.path / file.name).write_bytes(bytes(data))
    return program


def test_check_of_a_whole_store_says_so(ran: Program) -> None:
    told = ran("store", "check", "medrobust-store", plugins=())
    assert told.status == 0
    assert re.match(r"Read \d+ files, [\d.]+ kB: 0 damaged\.\nNothing is known to be lost\.\n$", told.out)


def test_check_names_the_damage_its_cost_and_the_command_which_then_works(damaged: Program, tmp_path: Path) -> None:
    told = damaged("store", "check", "medrobust-store", plugins=())
    assert told.status == 1
    assert ": 1 damaged.\n" in told.out
    assert "its content does not match the hash in its name; set aside as damaged/samples/" in told.out
    assert re.search(r"lost: 1 cell of sign on textures must be computed again, about \d+ s\n", told.out)
    (advice,) = [line for line in told.out.splitlines() if line.startswith("Next: medrobust run grid.toml --plugin ")]
    facts = json.loads(damaged("store", "check", "medrobust-store", "--json", plugins=()).out)
    assert facts["damaged"] == []
    assert facts["lost"]["cells"][0]["count"] == 1
    ls = damaged("store", "ls", "medrobust-store", plugins=())
    assert "2 cells: 1 current, 0 superseded, 0 failed, 1 missing; " in ls.out
    assert "lost: 1 cell of sign on textures must be computed again" in ls.err
    # As printed, with the plugins and options of the run before.
    again = damaged("run", *shlex.split(advice)[3:], plugins=())
    assert "2 cells: 1 already in the store, 1 computed in" in again.out
    assert damaged("store", "check", "medrobust-store", plugins=()).status == 0
    assert len(list((tmp_path / "medrobust-store" / "damaged" / "samples").iterdir())) == 1


@pytest.mark.long
def test_a_table_of_a_damaged_store_shows_what_is_missing_and_why(damaged: Program) -> None:
    told = damaged("leaderboard", "medrobust-store")
    assert told.status == 0
    assert "its samples were in a file that is damaged or gone; run its grid again" in told.out
    assert "damaged: samples/" in told.err
    assert "lost: 1 cell of sign on textures must be computed again" in told.err
    tidy = damaged("leaderboard", "medrobust-store", "--format", "json")
    rows = {row["attack"]: row for row in json.loads(tidy.out)}
    assert (rows["sign"]["value"], rows["sign"]["state"]) == (None, "missing")
    assert "damaged or gone" in rows["sign"]["note"]
    assert rows["none"]["value"] is not None
    assert damaged("run", "grid.toml").status == 0
    mended = damaged("leaderboard", "medrobust-store", "--format", "json")
    assert all(row["value"] is not None for row in json.loads(mended.out))
    assert mended.err == ""


@pytest.mark.long
@pytest.mark.parametrize("looked_before", [False, True])
def test_a_store_that_lost_all_its_cells_is_not_called_new(
    damaged: Program, tmp_path: Path, looked_before: bool
) -> None:
    store = Store(tmp_path / "medrobust-store")
    for file in store.tables.names("cells"):
        (store.path / file.name).write_bytes((store.path / file.name).read_bytes()[:100])
    if looked_before:
        assert damaged("store", "check", "medrobust-store", plugins=()).status == 1
    told = damaged("leaderboard", "medrobust-store")
    assert told.status == 1
    assert "medrobust-store has lost its cells; the command above computes them again" in told.err
    assert "lost: 1 cell of none on textures must be computed again" in told.err
    (advice,) = [line for line in told.err.splitlines() if line.startswith("Next: medrobust run grid.toml --plugin ")]
    assert damaged("run", *shlex.split(advice)[3:], plugins=()).status == 0
    assert damaged("leaderboard", "medrobust-store").status == 0


def test_a_run_notices_damage_of_small_files_by_itself(damaged: Program) -> None:
    told = damaged("run", "grid.toml")
    assert told.status == 0
    assert "2 cells: 1 already in the store, 1 computed in" in told.out
    assert "damaged: samples/" in told.err
    assert "lost" not in told.err


def test_a_damaged_marker_is_written_anew(damaged: Program, tmp_path: Path) -> None:
    for text in ("\0\0\0", '{"schema": 9}'):
        (tmp_path / "medrobust-store" / "store.json").write_text(text)
        told = damaged("store", "check", "medrobust-store", plugins=())
        assert "damaged: store.json: its content is wrong; written again" in told.out
        assert "store.json" not in damaged("store", "check", "medrobust-store", plugins=()).out


@pytest.mark.parametrize(("count", "text"), [(0, "0 bytes"), (1500, "1.5 kB"), (2 * 10**9, "2.0 GB")])
def test_sizes_read_well(count: int, text: str) -> None:
    assert human_bytes(count) == text
