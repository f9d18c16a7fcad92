"""What a command's GRID may be: a file, or the name of a paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Program = Callable[..., Any]


def test_the_name_of_a_paper_means_its_grid(program: Program) -> None:
    told = program("plan", "ma2020", "--profile", "smoke", plugins=())
    assert told.status == 0
    assert "Plan of ma2020, profile smoke" in told.out
    assert told.out.rstrip().endswith("Next: medrobust run ma2020 --profile smoke")


def test_a_misspelt_paper_is_told_the_nearest_name(program: Program) -> None:
    told = program("plan", "ma2021", plugins=())
    assert told.status == 1
    assert "no file and no paper is called 'ma2021'; did you mean 'ma2020'?" in told.err


def test_a_file_of_a_papers_name_goes_first(program: Program, tmp_path: Path) -> None:
    (tmp_path / "ma2020").write_text("[[grid]]\nnonsense = 1\n")
    assert "nonsense" in program("plan", "ma2020", plugins=()).err
