"""`medrobust doctor`: versions, machine, data that are here, plugins that cannot be loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

Program = Callable[..., Any]


def test_a_sound_installation_has_no_problem(program: Program, tmp_path: Path) -> None:
    told = program("doctor", "--data-root", str(tmp_path))
    assert told.status == 0, told.out
    lines = told.out.splitlines()
    assert lines[-2:] == ["problems", "  none"]
    assert any(line.split()[:2] == ["torch", torch.__version__] for line in lines)
    assert any("tiny:textures" in line and "here (2 classes)" in line for line in lines)
    assert any("tiny:ward" in line and "missing: the ward" in line for line in lines)
    assert str(tmp_path) in "".join(told.out.split())


def test_what_cannot_be_loaded_is_a_problem(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "sick.py"
    text = (Path(__file__).parents[2] / "tiny.py").read_text()
    file.write_text(text.replace('norms={"linf"})', 'norms={"L-inf"})'))
    told = program("doctor", "--json", plugins=(file,))
    assert told.status == 1
    facts = json.loads(told.out)
    assert any("unknown norm 'L-inf'" in problem for problem in facts["problems"])
    assert facts["machine"]["cores"].isdigit()


def test_a_data_root_that_is_none_is_a_problem(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDROBUST_DATA", "/nowhere/at/all")
    told = program("doctor")
    assert told.status == 1
    assert "/nowhere/at/all is not a directory" in told.out
