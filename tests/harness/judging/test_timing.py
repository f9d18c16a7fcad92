"""What of the trials fits a time."""

from __future__ import annotations

import pytest

from medrobust import MedrobustError
from medrobust.judging.timing import LEAST, Cost, Unit, fit, parse_time

UNITS = [
    Unit(trial, budget, rank, order, Cost(each=each, fixed=fixed), early)
    for order, (trial, each, fixed, early) in enumerate(
        [("noise", 0.001, 0.0, False), ("pgd", 0.1, 0.0, True), ("transfer", 0.05, 20.0, False)]
    )
    for rank, budget in enumerate(["linf:1/255", "linf:4/255", "linf:8/255"])
]
CHECKS = Cost(each=0.02)


def total(images: int, units: tuple[Unit, ...]) -> float:
    return CHECKS.of(images) + sum(unit.expected(images) for unit in units)


@pytest.mark.parametrize(
    ("text", "seconds"), [("10m", 600), ("90s", 90), ("1h", 3600), ("10", 600), ("1.5 min", 90), ("all", None)]
)
def test_times(text: str, seconds: float | None) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "0m", "-5m", "m"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(MedrobustError, match="write 10m, 90s, 1h"):
        parse_time(text)


def test_without_a_time_everything_is_run() -> None:
    fitted = fit(UNITS, 500, None, CHECKS)
    assert (fitted.images, len(fitted.units), fitted.dropped) == (500, len(UNITS), ())


def test_images_are_thinned_before_budgets() -> None:
    fitted = fit(UNITS, 500, 120, CHECKS)
    assert LEAST <= fitted.images < 500
    assert not fitted.dropped
    assert total(fitted.images, fitted.units) <= 120


def test_with_few_images_the_last_budgets_go_first() -> None:
    fitted = fit(UNITS, 500, 40, CHECKS)
    assert fitted.images >= LEAST
    assert total(fitted.images, fitted.units) <= 40
    dropped = [(unit.trial, unit.budget) for unit in fitted.dropped]
    assert dropped[:2] == [("transfer", "linf:8/255"), ("pgd", "linf:8/255")]
    kept = [(unit.trial, unit.budget) for unit in fitted.units]
    assert ("pgd", "linf:1/255") in kept


def test_something_is_always_run() -> None:
    fitted = fit(UNITS, 30, 0.001, CHECKS)
    assert [(unit.trial, unit.budget) for unit in fitted.units] == [("noise", "linf:1/255"), ("pgd", "linf:1/255")]
    assert fitted.images == 30


def test_an_attack_whose_broken_images_leave_takes_less_the_more_it_breaks() -> None:
    unit = UNITS[3]
    assert unit.early
    assert unit.expected(100, 0.0) < unit.expected(100, 0.5) < unit.expected(100, 1.0) == pytest.approx(10)
