"""`*.robust.toml` files as pytest collects them: one item for each cell and expectation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from ..errors import GridError, MedrobustError
from .asked import Asked
from .checking import check
from .expectations import Expectation, read_expectations
from .grid_run import GridRun
from .ids import parts
from .robustness import robustness_of

Leaf = tuple[list[str], Asked]
"""What is left of an id below a collector, and what it stands for."""


class RobustFile(pytest.File):
    """A grid with expectations."""

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """The items, in collectors for each part of their ids.

        Raises:
            pytest.Collector.CollectError: for a mistake in the file.
        """
        try:
            run = robustness_of(self.config).grid(self.path)
            asked = list(self._asked(run))
        except MedrobustError as error:
            raise self.CollectError(str(error)) from None
        return _tree(self, [(parts(each.name), each) for each in asked])

    def _asked(self, run: GridRun) -> Iterator[Asked]:
        """Each expectation of each cell, in the order of the grid.

        Raises:
            GridError: for an expectation that is of no cell.
        """
        tables = read_expectations(self.path)
        missed = {(table.where, each) for table in tables for each in table.expectations}
        for index in run.names:
            found: dict[Expectation, None] = {}
            for table in tables:
                mine = list(table.of(run.entry(index)))
                missed -= {(table.where, each) for each in mine}
                found |= dict.fromkeys(mine)
            yield from (Asked(run, index, each) for each in found)
        if missed:
            where, expectation = min(missed, key=str)
            excluded = next((f"; excluded: {entry.excluded}" for entry in run.plan.excluded), "")
            cells = ", ".join(run.names.values()) or "none"
            raise GridError(f"{where}: {expectation} is of no cell of the grid; its cells: {cells}{excluded}")


class _Part(pytest.Collector):
    """One part of an id, such as the data set."""

    leaves: Iterable[Leaf]

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        return _tree(self, self.leaves)


class RobustItem(pytest.Function):
    """One expectation of one cell; a function, so that fixtures are there as for any test."""

    asked: Asked

    @property
    def id(self) -> Any:
        """The id in parts, read from its text, as pytest reads those that failed last."""
        return type(super().id).parse(self.nodeid)

    def reportinfo(self) -> tuple[Any, None, str]:
        """Where it stands, and its headline."""
        return self.path, None, self.asked.name.replace("::", " ")


def _tree(parent: pytest.Collector, leaves: Iterable[Leaf]) -> Iterator[pytest.Item | pytest.Collector]:
    """Collectors and items below a collector: pytest looks for an id that somebody types part by part."""
    groups: dict[str, list[Leaf]] = {}
    for names, asked in leaves:
        groups.setdefault(names[0], []).append((names[1:], asked))
    for name, below in groups.items():
        for asked in (asked for names, asked in below if not names):
            item: RobustItem = RobustItem.from_parent(parent, name=name, callobj=_expect)
            item.asked = asked
            yield item
        if deeper := [(names, asked) for names, asked in below if names]:
            part: _Part = _Part.from_parent(parent, name=name)
            part.leaves = deeper
            yield part


def _expect(request: pytest.FixtureRequest) -> None:
    check(request.node.asked, request)
