"""An expectation as it runs: compute the cell if the store lacks it, judge, and say what a person needs to know."""

from __future__ import annotations

import pytest

from ..errors import MedrobustError
from .asked import Asked
from .expectations import Bound, NoRegression
from .judging import Lines, against_numbers, bound_problem, regression_problem
from .robustness import Robustness, others_may_warn, robustness_of
from .telling import command, told


def check(asked: Asked, request: pytest.FixtureRequest) -> None:
    """Fail with what is wrong if an expectation does not hold, or cannot be judged."""
    try:
        with others_may_warn():
            asked.compute(request)
            lines = _problem(asked, request)
    except MedrobustError as error:
        lines = [("", str(error))]
    if lines:
        (_, wrong), *rest = [*lines, *about(asked, request.node)]
        pytest.fail(f"{wrong}\n{told(rest)}", pytrace=False)


def about(asked: Asked, item: pytest.Item) -> Lines:
    """Which cell an item is about, where its record is, and how to run it again."""
    cell = asked.run.entry(asked.index).cell
    if cell is None:
        return [("again", command(item))]
    return [
        ("cell", f"{cell.describe()} ({cell.id})"),
        ("store", str(asked.run.session.store.path)),
        ("again", command(item)),
    ]


def _problem(asked: Asked, request: pytest.FixtureRequest) -> Lines:
    if isinstance(asked.expectation, Bound):
        return bound_problem(asked.run.cell(asked.index), asked.expectation)
    assert isinstance(asked.expectation, NoRegression)
    own = robustness_of(request.config)
    if own.family is None:
        pytest.skip("no baseline is named: --medrobust-baseline DIR, or medrobust_baseline in the configuration")
    return _update(asked, own) if own.updates_baseline else _compare(asked, asked.expectation, own, request)


def _update(asked: Asked, own: Robustness) -> Lines:
    """Write the record to the baseline, unless the evidence speaks against its numbers."""
    assert own.family is not None
    cell = asked.run.cell(asked.index)
    assert asked.expectation is not None
    against = against_numbers(cell.evidence) if asked.expectation.claims_robustness else []
    if against:
        return [("", "not written to the baseline, as the evidence speaks against it"), *against]
    own.family.baseline.write(asked.run.plan, asked.run.entry(asked.index), asked.run.session.store)
    return []


def _compare(asked: Asked, expectation: NoRegression, own: Robustness, request: pytest.FixtureRequest) -> Lines:
    assert own.family is not None
    baseline, entry = own.family.baseline, asked.run.entry(asked.index)
    found = own.family.change(asked)
    if found is None:
        pytest.skip(f"{baseline.path} has no record under these labels; --medrobust-update-baseline adds it")
    alarm = own.family.alarm(asked, request)
    before = baseline.record(asked.run.plan, entry) if alarm else None
    return regression_problem(asked.run.cell(asked.index), expectation, found, before)
