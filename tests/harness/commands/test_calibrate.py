"""`medrobust calibrate`, and the hours that `medrobust plan` shows with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("medrobust_datasets")

GRID = """
[[grid]]
dataset = { name = "phantom-derm", train = 40, val = 8, test = 20 }
model   = "tiny-net"
attack  = "sign"
budget  = "linf:4/255"
"""
QUICK = ("--seconds", "0.02")


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "grid.toml").write_text(GRID)
    monkeypatch.setenv("MEDROBUST_CACHE", str(tmp_path / "cache"))
    return "grid.toml"


def test_without_measurements_passes_and_the_command_that_measures(program: Any, grid: str) -> None:
    """Followed as printed, the advice leads to hours."""
    before = program("plan", grid)
    assert before.status == 0, before.err
    assert "tiny-net, 40x40x3" in before.out
    (hint,) = (line for line in before.out.splitlines() if line.startswith("To measure"))
    words = hint.partition("medrobust ")[2].split()
    assert words[:2] == ["calibrate", "grid.toml"]
    measured = program(*words, *QUICK, plugins=())
    assert measured.status == 0, measured.err
    assert "tiny-net, 40x40x3" in measured.out
    assert "Next: medrobust plan grid.toml" in measured.out
    after = program("plan", grid)
    assert "one process: about" in after.out
    assert "Hours are not known" not in after.out


def test_what_was_measured_is_not_measured_again(program: Any, grid: str, tmp_path: Path) -> None:
    program("calibrate", grid, *QUICK)
    file = tmp_path / "cache" / "throughput.json"
    first = json.loads(file.read_text())
    program("calibrate", grid, *QUICK)
    assert json.loads(file.read_text()) == first
    program("calibrate", grid, "--again", *QUICK)
    assert json.loads(file.read_text()) != first


def test_hours_on_another_machine(program: Any, grid: str, tmp_path: Path) -> None:
    program("calibrate", grid, *QUICK)
    there = json.loads((tmp_path / "cache" / "throughput.json").read_text())
    for entry in there:
        entry["device"] = "Imaginary GPU 9000"
        entry["throughput"] = {"forward": 2.0, "gradient": 1.0, "training": 0.05}
    (tmp_path / "there.json").write_text(json.dumps(there))
    planned = program("plan", grid, "--throughput", "there.json", "--on", "gpu 9000", "--json")
    facts = json.loads(planned.out)
    assert facts["device"] == "Imaginary GPU 9000"
    (passes,) = facts["passes"]
    expected = passes["forward"] / 2 + passes["gradient"] + passes["training"] / 0.05
    assert facts["calibrated_seconds"] == pytest.approx(expected)
    shown = program("plan", grid, "--throughput", "there.json", "--on", "gpu 9000")
    assert "On Imaginary GPU 9000, one process: about" in shown.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--on", "H200"), "nothing was measured on a device called 'H200'"),
        (("--throughput", "nowhere.json"), "--throughput: nowhere.json is no file"),
    ],
)
def test_mistakes_are_named(program: Any, grid: str, arguments: tuple[str, ...], message: str) -> None:
    ended = program("plan", grid, *arguments)
    assert ended.status == 1
    assert message in ended.err.replace("\n", " ")


def test_an_architecture_that_cannot_take_the_size_is_named_and_the_others_are_measured(
    program: Any, grid: str, tmp_path: Path
) -> None:
    pytest.importorskip("medrobust_models")
    (tmp_path / "grid.toml").write_text(GRID.replace('"tiny-net"', '["tiny-net", "inception_v3"]'))
    ended = program("calibrate", grid, *QUICK)
    assert ended.status == 1
    assert "inception_v3 cannot take images of 40x40" in ended.err.replace("\n", " ")
    assert "tiny-net, 40x40x3" in ended.out
