"""What is missing of the cells of a claim is named."""

from __future__ import annotations

from typing import Any

from medrobust_leaderboard.claims import (
    unplanned,
    verdict_on,
)
from medrobust_leaderboard.claims.members import Item

Make = Any
"""The functions of conftest.py."""


def test_labels_that_the_grid_lacks_are_named(make: Make) -> None:
    finding = verdict_on(
        make.bound(where={"attack": ["PGD", "CW"], "dataset": ["skin", "oct"]}, at_most=0.5), [make.item(0)]
    )
    assert finding.verdict == "cannot be tested here"
    assert finding.missing == "attack CW; dataset oct"


def test_a_combination_that_the_grid_lacks_is_named(make: Make) -> None:
    cells = [make.item(0), make.item(0, attack="CW", dataset="oct")]
    finding = verdict_on(make.bound(where={"attack": "CW", "dataset": "skin"}, at_most=0.5), cells)
    assert "attack CW together with dataset skin" in finding.missing


def test_the_reason_of_an_exclusion_is_told(make: Make) -> None:
    row = {**make.item(0).row, "detector": "KD<same"}
    excluded = Item(row, excluded="a random model")
    finding = verdict_on(
        make.bound(metric="detection_auc", where={"detector": "KD<same"}, at_least=0.9), [make.item(0), excluded]
    )
    assert finding.missing == "detector KD<same (a random model)"


def test_records_that_are_not_there_are_counted_with_their_reason(make: Make) -> None:
    cells = [make.item(0), make.item(None, model="b"), make.item(None, model="c", absent="failed: out of memory")]
    finding = verdict_on(make.bound(at_most=0.5), cells)
    assert finding.verdict == "cannot be tested here"
    assert finding.missing == "records of 2 of 3 cells (not computed; failed: out of memory)"


def test_a_contradiction_of_all_stands_without_the_rest(make: Make) -> None:
    cells = [make.item(180), make.item(None, model="b")]
    assert verdict_on(make.bound(at_most=0.5), cells).verdict == "does not hold"
    assert verdict_on(make.bound(at_most=0.5, quantifier="most"), cells).verdict == "cannot be tested here"
    assert verdict_on(make.bound(at_most=0.5, quantifier="average"), cells).verdict == "cannot be tested here"


def test_a_metric_that_is_undefined_everywhere_says_why(make: Make) -> None:
    finding = verdict_on(make.bound(metric="targeted_success", at_least=0.5), [make.item(0)])
    assert finding.verdict == "cannot be tested here"
    assert "the attack was not targeted" in finding.missing


def test_without_a_grid_a_claim_says_what_the_grid_needs(make: Make) -> None:
    (finding,) = unplanned([make.bound(where={"attack": "uap", "dataset": ["skin", "oct"]}, at_most=0.5)])
    assert finding.verdict == "cannot be tested here"
    assert finding.missing == "the paper's grid (attack uap; dataset skin, oct)"
