"""`medrobust env`: the requirements under which a store's records were made, and how many for each environment."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medrobust.engine.context import hardware, versions
from medrobust.engine.steps import rows

Program = Callable[..., Any]
GRID = """
[[grid]]
dataset = "textures"
model = { name = "tiny-net", recipe = { epochs = 1 } }
attack = ATTACK
budget = "linf:8/255"
"""
PIN = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+")


def run(program: Program, folder: Path, attack: str) -> None:
    (folder / "grid.toml").write_text(GRID.replace("ATTACK", attack))
    assert program("run", "grid.toml").status == 0


def test_the_text_is_a_requirements_file(program: Program, tmp_path: Path) -> None:
    run(program, tmp_path, '"sign"')
    lines = program("env", "medrobust-store", plugins=()).out.splitlines()
    assert lines[:3] == [
        "# 2 of 2 cells of medrobust-store were made with these versions.",
        f"# Python {versions()['python']}",
        f"# {hardware('cpu')} (2 cells)",
    ]
    assert "# Plugins of no distribution (local files, or handed in by a program): tiny" in lines
    assert all(line.startswith("# ") or PIN.fullmatch(line) for line in lines)
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pins["numpy"] == np.__version__
    assert {"medrobust", "torch", "torchvision", "safetensors", "pydantic"} <= pins.keys()
    # The build is not something that an index of packages knows.
    assert pins["torch"] == torch.__version__.partition("+")[0]
    assert any(torch.__version__.partition("+")[2] in line for line in lines if line.startswith("# torch"))


def test_several_environments_are_counted_and_compared(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(program, tmp_path, '"sign"')
    older = {**versions(), "torch": "2.5.1+cu124", "numpy": "1.26.4"}
    monkeypatch.setattr(rows, "versions", lambda: older)
    run(program, tmp_path, '["sign", "hum", { name = "steps", steps = [1, 2] }]')
    first = program("env", "medrobust-store", plugins=()).out
    assert first.startswith("# 3 of 5 cells of medrobust-store were made with these versions.\n")
    assert "# torch 2.5.1 as built for cu124 (previous versions on pytorch.org have the command)\n" in first
    assert "\nnumpy==1.26.4\n" in first
    assert "\ntorch==2.5.1\n" in first
    last = first.splitlines()[-1]
    assert last.startswith("# 2 cells of another environment (--number 2): ")
    assert f"numpy {np.__version__} instead of 1.26.4" in last
    assert f"torch {torch.__version__} instead of 2.5.1+cu124" in last
    second = program("env", "medrobust-store", "--number", "2", plugins=()).out
    assert second.startswith("# 2 of 5 cells of medrobust-store")
    assert f"\nnumpy=={np.__version__}\n" in second
    told = program("env", "medrobust-store", "--number", "3", plugins=())
    assert told.status == 1
    assert "--number 3: medrobust-store has 2 environments" in told.err


def test_a_place_without_a_store_is_named(program: Program) -> None:
    told = program("env", "nowhere", plugins=())
    assert (told.status, told.out) == (1, "")
    assert "nowhere is not a store" in told.err
