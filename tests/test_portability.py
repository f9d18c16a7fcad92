"""What Windows needs: no module that only POSIX has, and names that its file systems can hold."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pytest

from medrobust import Dataset

ROOT = Path(__file__).parents[1]
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
LONGEST = 180
"""Windows allows 260 characters for a whole path, of which the folder of a user takes some."""
# Labels that are no file names, and one that Windows keeps to itself.
GRID = """
[define]
"left: 1/2?" = { name = "phantom-fundus", size = 28, train = 24, val = 8, test = 12 }
CON = { name = "small-cnn", recipe = { epochs = 1 } }
"a|b*" = { name = "uap", passes = 1 }

[[grid]]
dataset = "@left: 1/2?"
model = "@CON"
attack = ["noise", "fgsm", "@a|b*"]
budget = "linf:8/255"
probe = ["examples"]
"""


def wrong_names(paths: Iterable[PurePosixPath]) -> list[str]:
    """Those of these paths that Windows cannot hold, or not beside each other."""
    found, seen = [], dict[str, str]()
    for path in sorted({each for file in paths for each in (file, *file.parents)}):
        name = path.name
        invalid = re.search(r'[<>:"|?*\\\x00-\x1f]', name) or name.endswith((".", " ")) or RESERVED.fullmatch(name)
        twin = seen.setdefault(str(path).casefold(), str(path))
        if (name and invalid) or len(str(path)) > LONGEST or twin != str(path):
            found.append(str(path))
    return found


@pytest.mark.parametrize(
    "path", ["a:b.csv", "cells/what?.json", "aux.py", "x/NUL", "ends.", "ends ", 'quo"te', "a\\b", "a" * 181]
)
def test_names_that_windows_cannot_hold_are_found(path: str) -> None:
    assert wrong_names([PurePosixPath(path)]) == [path]


def test_names_that_differ_in_case_alone_are_found() -> None:
    assert wrong_names([PurePosixPath("a/B.md"), PurePosixPath("a/b.md")]) == ["a/b.md"]
    assert wrong_names([PurePosixPath("a/b.md"), PurePosixPath("c/b.md"), PurePosixPath("console.py")]) == []


def test_names_in_the_repository_are_valid() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert wrong_names(map(PurePosixPath, done.stdout.splitlines())) == []


def test_names_of_files_that_are_fetched_are_valid() -> None:
    datasets = pytest.importorskip("medrobust_datasets")
    published: list[type[Dataset]] = [each for each in datasets.FILES if each.origin is not None]
    assert wrong_names(PurePosixPath(file.path) for each in published for file in each().files) == []


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the commands of a whole study ran, without what Windows lacks."""
    pytest.importorskip("medrobust_leaderboard")
    folder = tmp_path_factory.mktemp("portable")
    (folder / "grid.toml").write_text(GRID)
    commands = [
        ["plugins", "--strict"],
        ["run", "grid.toml", "--store", "store", "--workers", "1", "--device", "cpu"],
        ["leaderboard", "store", "--out", "tables", "--format", "csv"],
        ["site", "store", "--out", "site", "--with-images"],
        ["export", "store", "--out", "perturbations"],
        ["submit", "store", "--out", "mine.zip"],
        ["store", "check", "store"],
        ["new", "attack", "my-attack"],
    ]
    environment = {**os.environ, "MEDROBUST_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "tests" / "portable_run.py"), str(folder), json.dumps(commands)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


@pytest.mark.long
def test_a_study_needs_nothing_that_windows_lacks(ran: Path) -> None:
    for made in ("store/store.json", "site/index.html", "mine.zip", "my-attack/pyproject.toml"):
        assert (ran / made).is_file(), made
    assert list((ran / "perturbations").glob("*.png"))


@pytest.mark.long
def test_names_that_the_program_writes_are_valid(ran: Path) -> None:
    written = [PurePosixPath(path.relative_to(ran).as_posix()) for path in ran.rglob("*")]
    assert len(written) > 50
    assert wrong_names(written) == []
