"""Continuous integration: what a newcomer is told to type runs on every system."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
if not FILES:
    pytest.skip("a source distribution has no workflows", allow_module_level=True)
STEP_KEYS = {"env", "if", "name", "run", "shell", "uses", "with", "working-directory", "timeout-minutes"}


def read(file: Path) -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_workflows_are_well_formed(file: Path) -> None:
    workflow = read(file)
    # YAML 1.1 reads the key `on` as true.
    assert {"name", True, "jobs", "permissions"} <= workflow.keys()
    for job in workflow["jobs"].values():
        assert {"runs-on", "steps", "timeout-minutes"} <= job.keys()
        for step in job["steps"]:
            assert step.keys() <= STEP_KEYS
            assert ("run" in step) != ("uses" in step), step
            if "uses" in step:
                assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"])


def test_the_commands_of_the_readme_run_on_three_systems() -> None:
    (job,) = (job for file in FILES for job in read(file)["jobs"].values() if "strategy" in job)
    assert [name.partition("-")[0] for name in job["strategy"]["matrix"]["os"]] == ["ubuntu", "macos", "windows"]
    assert job["runs-on"] == "${{ matrix.os }}"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = [line.partition("#")[0].strip() for line in re.findall(r"^ {4}(uv run .*)$", readme, re.MULTILINE)]
    assert told == ["uv run medrobust reproduce ma2020", "uv run pytest"]
    assert "(`pip install uv`)" in readme
    ran = commands(job)
    assert ran[0] == "pip install uv"
    assert [command for command in ran if command in told] == told


def test_everything_is_checked_on_linux() -> None:
    jobs = [job for file in FILES for job in read(file)["jobs"].values()]
    assert any(".ci/run" in commands(job) and job["runs-on"].startswith("ubuntu") for job in jobs)
    assert (ROOT / ".ci" / "run").is_file()
