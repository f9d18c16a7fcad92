"""Tests in Python that run once for each cell of a grid."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..errors import MedrobustError
from .asked import Asked, of_test
from .cell import RobustCell
from .checking import about
from .robustness import others_may_warn, robustness_of
from .telling import lost_images, told


def parametrize_cells(metafunc: pytest.Metafunc, marker: pytest.Mark) -> None:
    """Make one item of a marked test for each cell.

    Raises:
        pytest.Collector.CollectError: for a mistake in the grid, or a test that takes no cell.
    """
    test = metafunc.definition
    if "cell" not in metafunc.fixturenames:
        text = f"{test.name}: @parametrize gives the argument 'cell', which this test does not take"
        raise pytest.Collector.CollectError(text)
    (grid,) = marker.args
    options = dict(marker.kwargs)
    try:
        source = grid if isinstance(grid, dict) else test.path.parent / Path(grid)
        run = robustness_of(metafunc.config).grid(source, **options)
    except MedrobustError as error:
        raise pytest.Collector.CollectError(str(error)) from None
    metafunc.parametrize("cell", [Asked(run, i) for i in run.names], ids=list(run.names.values()), indirect=True)


def asked_cell(request: pytest.FixtureRequest) -> RobustCell:
    """The cell of an item, computed."""
    asked = getattr(request, "param", None)
    if not isinstance(asked, Asked):
        pytest.fail("the fixture 'cell' is for tests with @medrobust.pytest.parametrize(GRID)", pytrace=False)
    try:
        with others_may_warn():
            asked.compute(request)
            return asked.run.cell(asked.index)
    except MedrobustError as error:
        wrong = str(error)
    pytest.fail(f"{wrong}\n{told(about(asked, request.node))}", pytrace=False)


def told_of(item: pytest.Item) -> str:
    """What a test that failed was about, if it took a cell of a grid."""
    asked = of_test(item)
    cell = getattr(item, "funcargs", {}).get("cell")
    if asked is None or not isinstance(cell, RobustCell):
        return ""
    evidence = "" if not cell.evidence.checks else repr(cell.evidence).strip("<>").removeprefix("evidence: ")
    return told([*about(asked, item), ("evidence", evidence), ("images", lost_images(cell.record))])
