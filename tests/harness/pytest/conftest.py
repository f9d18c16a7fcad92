"""A project of somebody else's with the tiny plugins, in which pytest is run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., pytest.RunResult]

GRID = """
[[grid]]
dataset = { name = "textures", classes = 2 }
model = "tiny-net"
attack = ["sign", "hum"]
budget = ["linf:8/255", "linf:40/255"]
"""


@pytest.fixture(scope="session")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that tests share: what one has computed, the next ones find."""
    return tmp_path_factory.mktemp("shared") / "store"


@pytest.fixture
def project(pytester: pytest.Pytester, tiny: Path, misbehaving: Path) -> pytest.Pytester:
    """A folder with the tiny plugins and a configuration in which warnings are errors."""
    for file in (tiny, misbehaving):
        shutil.copy(file, pytester.path)
    pytester.makeini("[pytest]\nmedrobust_plugins =\n    tiny.py\n    misbehaving.py\nfilterwarnings = error\n")
    return pytester


@pytest.fixture
def run(project: pytest.Pytester, run_pytest: Run, computed: Path) -> Run:
    """Run pytest in the project, on the store that tests share or on another one."""

    def call(*arguments: str, store: Path = computed) -> pytest.RunResult:
        return run_pytest(f"--medrobust-store={store}", *arguments)

    return call


@pytest.fixture
def robust(project: pytest.Pytester) -> Callable[[str], Path]:
    """Write a file: a grid of two attacks and two radii, and these expectations."""

    def write(expect: str, grid: str = GRID, name: str = "model.robust.toml") -> Path:
        path = project.path / name
        path.write_text(f"{grid}\n{expect}\n")
        return path

    return write
