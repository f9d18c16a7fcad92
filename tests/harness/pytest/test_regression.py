"""Regressions: planted drops are found, and noise is not; the table in docs/pytest.md has 200 repeats of each."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from medrobust import MedrobustError
from medrobust.api import compare
from medrobust.pytest.cell import metric_called
from medrobust.pytest.regression import ALPHA, Change, alarms, change

FOLDER = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def planting() -> Iterator[ModuleType]:
    """The benchmark that plants drops; its folder is no package."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield importlib.import_module("regression")
    finally:
        sys.path.remove(str(FOLDER))
        sys.modules.pop("regression", None)


@pytest.mark.parametrize(
    ("drop", "churn", "least", "most"),
    [(0.0, 0.05, 0.0, 0.02), (0.02, 0.0, 0.9, 1.0), (0.05, 0.02, 0.9, 1.0), (0.10, 0.05, 0.99, 1.0)],
)
def test_drops_are_found_and_noise_is_not(
    planting: ModuleType, drop: float, churn: float, least: float, most: float
) -> None:
    assert least <= planting.rates(drop, churn, 1, repeats=200).right <= most


def test_a_family_of_items_raises_no_false_alarm(planting: ModuleType) -> None:
    found = planting.rates(0.10, 0.02, 10, repeats=20)
    assert found.right == 1
    assert found.false == 0


def test_a_drop_is_positive_whichever_way_a_metric_points(planting: ModuleType) -> None:
    right = np.arange(600) % 10 < 6
    worse = right & (np.arange(600) % 10 != 0)
    before, now = planting.record(right), planting.record(worse)
    for name in ("robust_accuracy", "asr_all", "asr", "fooling_rate"):
        found = change(metric_called(name), now, before)
        assert found.drop == pytest.approx(0.1), name
        assert found.p is not None
        assert found.p < 1e-6
        back = change(metric_called(name), before, now)
        assert back.drop == pytest.approx(-0.1)
        assert back.p == pytest.approx(1)
    tested = compare("accuracy", before, now)
    assert tested.p is not None
    assert change(metric_called("accuracy"), now, before).p == pytest.approx(tested.p / 2)


def test_a_metric_without_a_test_in_closed_form_can_still_raise_an_alarm_in_a_large_family(
    planting: ModuleType,
) -> None:
    right = np.arange(600) % 10 < 6
    before, now = planting.record(right), planting.record(right & (np.arange(600) % 10 != 0))
    found = change(metric_called("balanced_accuracy"), now, before)
    assert found.test == "paired bootstrap"
    family = [found, *[Change(0.0, p=0.5)] * 99]
    assert alarms(family, [0.01] * 100)[0]


def test_equal_records_are_no_regression(planting: ModuleType) -> None:
    record = planting.record(np.arange(600) % 10 < 6)
    for name in ("robust_accuracy", "balanced_accuracy", "clean_accuracy", "auc", "asr"):
        found = change(metric_called(name), record, record)
        assert (found.drop, found.p) == (0, 1), name


def test_a_drop_has_to_be_significant_and_large_enough() -> None:
    assert alarms([Change(0.02, p=ALPHA)], [0.01]) == [True]
    assert alarms([Change(0.02, p=ALPHA * 1.01)], [0.01]) == [False]
    assert alarms([Change(0.009, p=1e-9)], [0.01]) == [False]
    # Holm: the smallest of two p values is doubled, the other one counts as it is.
    assert alarms([Change(0.1, p=ALPHA / 2), Change(0.1, p=ALPHA)], [0.01] * 2) == [True, True]
    assert alarms([Change(0.1, p=ALPHA * 0.6), Change(0.1, p=ALPHA)], [0.01] * 2) == [False, False]
    assert alarms([Change(0.1, reason="no variance")], [0.01]) == [False]


def test_other_images_or_labels_cannot_be_compared(planting: ModuleType) -> None:
    record = planting.record(np.arange(600) % 10 < 6)
    other = replace(record, ids=np.array([f"x{i}" for i in range(600)]))
    with pytest.raises(MedrobustError, match="share no image"):
        change(metric_called("asr"), record, other)
