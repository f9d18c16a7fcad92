"""A project of somebody else's with the tiny plugins, in which pytest is run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import medrobust.pytest.items
import medrobust.pytest.parametrization
import medrobust.pytest_plugin  # before pytester notes which modules there are
from medrobust.api import Session

Run = Callable[..., pytest.RunResult]

GRID = """
[[grid]]
dataset = { name = "textures", classes = 2 }
model = "tiny-net"
attack = ["sign", "hum"]
budget = ["linf:8/255", "linf:40/255"]
"""


INSTALLED = bool(entry_points(group="pytest11", name="medrobust"))
"""Whether pytest finds the plugin by itself; an editable installation knows it once it has been made anew."""


@pytest.fixture(scope="session")
def plugin_options() -> list[str]:
    """For programs that are started: load the plugin by name where pytest does not find it."""
    return [] if INSTALLED else ["-p", "medrobust.pytest_plugin"]


@pytest.fixture(scope="session")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that tests share: what one has computed, the next ones find."""
    return tmp_path_factory.mktemp("shared") / "store"


@pytest.fixture(scope="session")
def _imported(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> None:
    """Import what sessions import before pytester notes which modules there are: torch cannot be imported twice."""
    session = Session(tmp_path_factory.mktemp("warm") / "store", (tiny,), device="cpu", workers=1)
    table = {"dataset": "textures", "model": "tiny-net", "attack": "sign", "budget": "linf:8/255"}
    session.run(plan := session.plan({"grid": [table]}))
    session.evidence(plan)


@pytest.fixture
def project(pytester: pytest.Pytester, tiny: Path, misbehaving: Path, _imported: None) -> pytest.Pytester:
    """A folder with the tiny plugins and a configuration in which warnings are errors."""
    for file in (tiny, misbehaving):
        shutil.copy(file, pytester.path)
    pytester.makeini("[pytest]\nmedrobust_plugins =\n    tiny.py\n    misbehaving.py\nfilterwarnings = error\n")
    return pytester


@pytest.fixture
def run(project: pytest.Pytester, computed: Path) -> Run:
    """Run pytest in the project, in this process, on the store that tests share or on another one."""

    def call(*arguments: str, store: Path | None = computed) -> pytest.RunResult:
        # Hypothesis would be imported, and its assertions rewritten, at the end of every run.
        options = ["-p", "no:xdist", "-p", "no:hypothesispytest", "--medrobust-workers=1", "--medrobust-device=cpu"]
        if store is not None:
            options.append(f"--medrobust-store={store}")
        plugins = [] if INSTALLED else [medrobust.pytest_plugin]
        return project.runpytest_inprocess(*options, *arguments, plugins=plugins)

    return call


@pytest.fixture
def robust(project: pytest.Pytester) -> Callable[[str], Path]:
    """Write a file: a grid of two attacks and two radii, and these expectations."""

    def write(expect: str, grid: str = GRID, name: str = "model.robust.toml") -> Path:
        path = project.path / name
        path.write_text(f"{grid}\n{expect}\n")
        return path

    return write
