"""All items of a run that compare with the baseline: one family, so that many of them do not mean many false alarms."""

from __future__ import annotations

import pytest

from .asked import Asked, every
from .baseline import Baseline
from .cell import metric_called
from .expectations import NoRegression
from .regression import Change, alarms, change

Known = dict[tuple[Asked, str], Change | None]
"""Changes by item and identity of the cell; None where the baseline has nothing."""


class Family:
    """The items that compare with one baseline.

    Args:
        baseline: it.
    """

    def __init__(self, baseline: Baseline) -> None:
        self.baseline = baseline
        self._known: Known = {}

    def alarm(self, asked: Asked, request: pytest.FixtureRequest) -> bool:
        """Whether an item that has been computed is worse, as one of its family."""
        assert isinstance(asked.expectation, NoRegression)
        family = {each: self._of_any(each, request) for each in every(request.session)}
        found = {each: known for each, known in family.items() if known is not None}
        minimum = [each.expectation.minimum for each in found if isinstance(each.expectation, NoRegression)]
        return dict(zip(found, alarms(list(found.values()), minimum), strict=True)).get(asked, False)

    def change(self, asked: Asked) -> Change | None:
        """How an item that has been computed differs from the baseline; None where that has nothing.

        Raises:
            MedrobustError: if it has no record, or one that cannot be compared.
        """
        assert isinstance(asked.expectation, NoRegression)
        entry = asked.run.entry(asked.index)
        key = (asked, entry.cell.id if entry.cell else "")
        if key not in self._known:
            cell = asked.run.cell(asked.index)
            before = self.baseline.record(asked.run.plan, entry)
            metric = metric_called(asked.expectation.metric)
            self._known[key] = None if before is None else change(metric, cell.record, before)
        return self._known[key]

    def _of_any(self, asked: Asked, request: pytest.FixtureRequest) -> Change | None:
        """The change of an item of the run, computed if need be."""
        if not isinstance(asked.expectation, NoRegression):
            return None
        try:
            asked.compute(request)
            return self.change(asked)
        except (Exception, pytest.skip.Exception, pytest.fail.Exception):  # noqa: BLE001 - it says so itself
            # Without a number, perhaps as its fixture is not to be seen from here; it counts as one of the family.
            return Change(0.0, p=1.0)
