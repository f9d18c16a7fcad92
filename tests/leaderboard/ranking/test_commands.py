"""`medrobust leaderboard` and folders of tables, as users type them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medrobust.api import Store

from .conftest import STRANGER

Program = Callable[..., Any]
GRID = """
[define]
mine = { name = "slide", steps = 3 }
a-model-with-a-name-that-no-table-has-room-for = "tiny-net"
[[grid]]
dataset = "textures"
model = "@a-model-with-a-name-that-no-table-has-room-for"
defense = ["none", "drilled"]
attack = ["none", "sign", "@mine", { name = "steps", steps = [2, 3] }]
budget = "linf:16/255"
"""


@pytest.fixture
def shown(program: Program, full: Store) -> Program:
    def show(*arguments: object) -> Any:
        return program("leaderboard", full.path, *arguments)

    return show


def test_the_board_is_what_a_plain_command_prints(shown: Program) -> None:
    told = shown()
    assert told.status == 0
    lines = told.out.splitlines()
    starts = [line for line in lines if line.startswith(("Models on", "Attacks on"))]
    assert starts == [
        *("Models on textures, linf:14/255", "Attacks on textures, linf:14/255"),
        *("Models on textures(channels=3), linf:14/255", "Attacks on textures(channels=3), linf:14/255"),
    ]
    assert max(map(len, lines)) <= 100
    first = lines[: lines.index(starts[1])]
    veil = next(line for line in first if "tiny-net + veil" in line)
    assert veil.startswith("–")
    assert " !" in veil
    assert "! tiny-net + veil: gradients are neither zero nor NaN" in told.out
    assert "without a value to compare with" not in told.out


def test_is_my_attack_stronger_than_another_has_a_line_of_its_own(shown: Program) -> None:
    told = shown("--compare", "slide", "steps")
    assert told.out.splitlines()[0].startswith("slide against steps: ")
    assert told.out.count("images of 4 models") == 2
    wrong = shown("--compare", "slide", "stepz")
    assert wrong.status != 0
    assert "did you mean 'steps'?" in wrong.err


def test_filters_by_any_axis(shown: Program) -> None:
    told = shown("--where", "attack=s*,dataset=textures", "--where", "defense=none")
    assert told.out.count("Models on") == 1
    assert "noise" not in told.out
    assert "drilled" not in told.out
    for text, meant in (
        ("atack=pgd", "did you mean 'attack'?"),
        ("pgd", "write AXIS=LABEL"),
        ("attack=", "needs a label"),
    ):
        wrong = shown("--where", text)
        assert wrong.status != 0
        assert meant in wrong.err
    nothing = shown("--where", "attack=nobody")
    assert nothing.status != 0


@pytest.mark.long
def test_names_of_the_grid_and_a_legend_for_long_ones(program: Program, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID)
    program("run", "grid.toml", plugins=(STRANGER.parents[2] / "tiny.py", STRANGER))
    told = program("leaderboard", "medrobust-store", "--out", "files")
    assert all(name in told.out for name in ("sign", "mine", "steps(steps=2)", "steps(steps=3)"))
    assert "#1: a-model-with-a-name-that-no-table-has-room-for" in " ".join(told.out.split())
    assert max(map(len, told.out.splitlines())) <= 100
    rows = list(csv.DictReader((tmp_path / "files/front.csv").read_text().splitlines()))
    assert {row["attack"] for row in rows} == {"sign", "mine", "steps(steps=2)", "steps(steps=3)"}
    assert {row["attack"]: float(row["passes"]) for row in rows} == {
        "sign": 2,
        "mine": 6,
        "steps(steps=2)": 4,
        "steps(steps=3)": 6,
    }
    assert (tmp_path / "files/front.png").stat().st_size > 10_000


@pytest.mark.long
def test_evidence_is_collected_unless_told_otherwise(program: Program, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID)
    plugins = (STRANGER.parents[2] / "tiny.py", STRANGER)
    without = program("run", "grid.toml", plugins=plugins)
    assert "Evidence" not in without.out
    assert "no evidence was collected" in program("leaderboard", "medrobust-store").out
    by_default = program("run", "grid.toml", plugins=plugins, evidence=True)
    assert "Evidence: can these robust accuracies be trusted?" in by_default.out
    assert "no evidence was collected" not in program("leaderboard", "medrobust-store").out


@pytest.mark.long
def test_several_stores_are_one_board(program: Program, tmp_path: Path) -> None:
    for name in ("sign", "steps"):
        grid = tmp_path / f"{name}.toml"
        grid.write_text(
            f'[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nattack = "{name}"\nbudget = "linf:8/255"\n'
        )
        program("run", grid, "--store", name)
    told = program("leaderboard", "sign", "steps")
    assert told.out.count("Models on") == 1
    assert {"sign", "steps"} <= set(next(line for line in told.out.splitlines() if line.startswith("rank")).split())
    tables = program("leaderboard", "sign", "steps", "--metric", "asr")
    assert tables.out.count("tiny-net on textures") == 1
    missing = program("leaderboard", "sign", "nowhere")
    assert missing.status != 0
    assert "nowhere is not a store" in missing.err


@pytest.mark.parametrize("output", ["markdown", "html", "latex"])
def test_every_format_has_the_board(shown: Program, output: str) -> None:
    told = shown("--format", output)
    assert told.status == 0
    assert told.out.count("worst case") >= 2


@pytest.mark.long
def test_detectors_stand_below_the_ranking_and_take_no_part_in_it(program: Program, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(
        '[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nattack = "sign"\nbudget = "linf:16/255"\n'
        '[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nattack = "sign"\nbudget = "linf:16/255"\n'
        'detector = "distance"\n'
    )
    planned = program("plan", "grid.toml").out
    assert "detected by distance<same" in planned
    assert program("run", "grid.toml").status == 0
    told = program("leaderboard", "medrobust-store").out
    ranked, _, detected = told.partition("detection_auc")
    assert "sign" in ranked
    assert "distance" not in ranked
    assert "sign" in detected
    only = program("leaderboard", "medrobust-store", "--metric", "detection_auc").out
    assert "none" not in only
    assert program("verify", "medrobust-store").status == 0
