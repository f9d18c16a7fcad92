"""What pytest knows of medrobust: options, `*.robust.toml` files, `@parametrize` and the fixture `cell`.

Loaded in every run of pytest where medrobust is installed, so it imports nothing but pytest; what it hands over to is
the room `pytest/`, imported when a run has something for it.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .pytest.cell import RobustCell
    from .pytest.items import RobustFile

SUFFIX = ".robust.toml"
MARKER = "medrobust"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of one run, and what a project sets once in its configuration file."""
    group = parser.getgroup("medrobust", "robustness of medical image classifiers")
    group.addoption("--medrobust-store", metavar="DIR", help="Store of results, which is also the cache of cells.")
    group.addoption("--medrobust-baseline", metavar="DIR", help="Store that no regression is measured by.")
    group.addoption(
        "--medrobust-update-baseline",
        action="store_true",
        help="Write the records of these cells to the baseline, in place of comparing with it.",
    )
    group.addoption("--medrobust-profile", metavar="NAME", default="", help="Profile of the grids.")
    group.addoption("--medrobust-images", metavar="N", type=int, help="Limit every evaluation to about N images.")
    group.addoption("--medrobust-device", metavar="NAME", default="", help="Torch device (default: CUDA if available).")
    group.addoption(
        "--medrobust-workers", metavar="N", type=int, help="Processes that compute (default: one per core; 1 with -n)."
    )
    parser.addini("medrobust_store", "Store of results, from the root (default: medrobust-store).")
    parser.addini("medrobust_baseline", "Store that no regression is measured by, from the root.")
    parser.addini("medrobust_plugins", "Local plugin files, from the root.", type="linelist")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and refuse what cannot be done before anything is computed."""
    named = config.getoption("medrobust_baseline") or config.getini("medrobust_baseline")
    if config.getoption("medrobust_update_baseline") and not named:
        raise pytest.UsageError("--medrobust-update-baseline needs --medrobust-baseline DIR, or medrobust_baseline")
    config.addinivalue_line(
        "markers",
        f"{MARKER}(grid, profile, images, evidence): once for each cell; see medrobust.pytest.parametrize",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> RobustFile | None:
    """Collect `NAME.robust.toml` like a module of tests."""
    if not file_path.name.endswith(SUFFIX):
        return None
    from .pytest.items import RobustFile

    found: RobustFile = RobustFile.from_parent(parent, path=file_path)
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test marked with `medrobust.pytest.parametrize` once for each cell of its grid."""
    marker = metafunc.definition.get_closest_marker(MARKER)
    if marker is not None:
        from .pytest.parametrization import parametrize_cells

        parametrize_cells(metafunc, marker)


@pytest.fixture
def cell(request: pytest.FixtureRequest) -> RobustCell:
    """A cell of the grid that the test is marked with, computed: labels, metrics with intervals, evidence."""
    from .pytest.parametrization import asked_cell

    return asked_cell(request)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say of which cell a test speaks that failed, which images tell most, and how to see it again."""
    report = yield
    if report.when == "call" and report.failed and "cell" in getattr(item, "funcargs", ()):
        from .pytest.parametrization import told_of

        if text := told_of(item):
            report.sections.append(("robustness", text))
    return report
