"""What the items of a run ask for, after `-k`, `--lf` and the like have had their say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from .expectations import Expectation
from .grid_run import GridRun
from .ids import with_expectation


@dataclass(frozen=True)
class Asked:
    """A cell, and what is expected of it where that stands in a file.

    Attributes:
        run: its grid.
        index: its place there.
        expectation: None for a test that is written in Python.
    """

    run: GridRun
    index: int
    expectation: Expectation | None = None

    @property
    def name(self) -> str:
        """The id that items have."""
        name = self.run.names[self.index]
        return name if self.expectation is None else with_expectation(name, self.expectation)

    def compute(self, request: pytest.FixtureRequest) -> None:
        """Compute all that was selected of its grid, unless that is done.

        Raises:
            MedrobustError: if the model of the fixture cannot be used.
        """
        mine = {each.index for each in every(request.session) if each.run is self.run}
        self.run.compute(mine | {self.index}, request)


def every(session: pytest.Session) -> Iterator[Asked]:
    """What all items of a run ask for."""
    for item in session.items:
        asked = getattr(item, "asked", None) or of_test(item)
        if isinstance(asked, Asked):
            yield asked


def of_test(item: pytest.Item) -> Asked | None:
    """What a test in Python asks for, if it is parametrized over a grid."""
    asked = getattr(getattr(item, "callspec", None), "params", {}).get("cell")
    return asked if isinstance(asked, Asked) else None
