"""docs/pytest.md: its files are written, its commands run, in their order; and the project in examples/."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

DOCUMENT = "docs/pytest.md"
Blocks = Callable[[str], Sequence[Any]]
RunPytest = Callable[..., pytest.RunResult]


@pytest.mark.long
def test_the_files_and_commands_do_what_the_page_says(
    blocks: Blocks, pytester: pytest.Pytester, run_pytest: RunPytest
) -> None:
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    outcomes: list[tuple[str, dict[str, int]]] = []
    for block in blocks(DOCUMENT):
        if block.language in ("toml", "python"):
            (pytester.path / block.file).write_text(block.text)
            continue
        assert block.language == "console"
        for line in block.text.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "pytest"
            result = run_pytest(*arguments)
            assert result.ret == 0, f"{line}\n{result.stdout.str()}"
            if "--collect-only" in arguments:
                assert not (pytester.path / "medrobust-store").exists()
            else:
                outcomes.append((line, result.parseoutcomes()))
    assert [found for _, found in outcomes] == [
        {"passed": 5, "skipped": 2},  # no baseline yet
        {"passed": 2, "skipped": 1, "deselected": 4},
        {"passed": 5, "skipped": 2},  # nothing failed: all of them
        {"passed": 1},
        {"passed": 13},
        {"passed": 13},
    ]


@pytest.mark.long
def test_the_example_is_green_and_red_after_its_model_is_swapped_for_a_weaker_one(
    root: Path, pytester: pytest.Pytester, run_pytest: RunPytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(root / "examples" / "pytest_project", pytester.path, dirs_exist_ok=True)
    monkeypatch.setenv("MODEL", "v1")
    run_pytest("--medrobust-update-baseline").assert_outcomes(passed=16)
    run_pytest().assert_outcomes(passed=16)
    monkeypatch.setenv("MODEL", "v2")
    result = run_pytest()
    told = result.stdout.str()
    assert result.parseoutcomes()["failed"] >= 2
    assert "robust_accuracy>=0.6 does not hold" in told
    assert "robust_accuracy is worse than in the baseline by" in told
    assert "clean_accuracy is worse" not in told
