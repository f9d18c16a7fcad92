"""Each verdict arises where it should: bounds, quantifiers, families of tests, and a grid that is run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medrobust.api import Session, Store, Value
from medrobust_leaderboard.claims import (
    Claim,
    verdict_on,
    verdicts_on,
)
from medrobust_leaderboard.claims.members import Item
from medrobust_leaderboard.profiles import Substitution
from medrobust_leaderboard.selection import rows_of

Make = Any
"""The functions of conftest.py."""


# Bounds --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "verdict"), [(0, "holds"), (60, "does not hold"), (12, "undecided"), (None, "cannot be tested here")]
)
def test_every_verdict_on_a_bound(make: Make, right: int | None, verdict: str) -> None:
    finding = verdict_on(make.bound(at_most=0.05), [make.item(right)])
    assert finding.verdict == verdict


def test_a_bound_reports_value_interval_and_n(make: Make) -> None:
    finding = verdict_on(make.bound(at_least=0.5), [make.item(140)])
    assert finding.effect is not None
    assert (finding.effect.effect, finding.n, finding.members) == (0.7, 200, 1)
    # Wilson interval of 140 of 200.
    assert finding.effect.low == pytest.approx(0.6332, abs=1e-4)
    assert finding.effect.high == pytest.approx(0.7592, abs=1e-4)


def test_a_bound_is_a_statement_about_the_estimate(make: Make) -> None:
    # No image of 200 is left: at most 1 %, though the Wilson interval ends at 1.88 %.
    assert verdict_on(make.bound(at_most=0.01), [make.item(0)]).verdict == "holds"
    assert verdict_on(make.bound(at_most=0.0), [make.item(0)]).verdict == "holds"
    # 2 of 200 are 1 %, and 198 of 200 are 99 %: what is just satisfied is satisfied.
    assert verdict_on(make.bound(at_most=0.01), [make.item(2)]).verdict == "holds"
    assert verdict_on(make.bound(at_least=0.99), [make.item(198)]).verdict == "holds"


@pytest.mark.parametrize(("border", "verdict"), [(0.0348, "undecided"), (0.0346, "does not hold")])
def test_only_a_violation_beyond_chance_contradicts_a_bound(make: Make, border: float, verdict: str) -> None:
    # The Wilson interval of 12 of 200 begins at 3.466 %.
    assert verdict_on(make.bound(at_most=border), [make.item(12)]).verdict == verdict


def test_a_number_without_interval_satisfies_a_bound_and_contradicts_none(make: Make) -> None:
    def printed(rate: float, **labels: str) -> Item:
        return replace(make.item(None, **labels), values={"accuracy": Value(rate)})

    assert verdict_on(make.bound(at_most=0.05), [printed(0.04)]).verdict == "holds"
    assert verdict_on(make.bound(at_most=0.05), [printed(0.9)]).verdict == "undecided"
    finding = verdict_on(make.comparison(), [printed(0.1), printed(0.9, attack="FGSM")])
    assert finding.verdict == "cannot be tested here"
    assert finding.missing == "1 of 1 without a number or an interval: no interval"


def test_cells_outside_the_selection_do_not_count(make: Make) -> None:
    finding = verdict_on(
        make.bound(where={"attack": "PGD"}, at_most=0.05), [make.item(0), make.item(200, attack="FGSM")]
    )
    assert (finding.verdict, finding.members) == ("holds", 1)


def test_a_list_of_selections_is_a_choice(make: Make) -> None:
    where = [{"dataset": "skin", "budget": "linf:1/255"}, {"dataset": "oct", "budget": "linf:2/255"}]
    cells = [
        make.item(0),
        make.item(0, dataset="oct", budget="linf:2/255"),
        make.item(200, dataset="oct"),
        make.item(200, budget="linf:2/255"),
    ]
    finding = verdict_on(make.bound(where=where, at_most=0.05), cells)
    assert (finding.verdict, finding.members) == ("holds", 2)


# Quantifiers and families --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantifier", "right", "verdict"),
    [
        ("all", (0, 0, 0), "holds"),
        ("all", (0, 0, 100), "does not hold"),
        ("all", (0, 0, 20), "holds"),
        ("all", (0, 0, 24), "undecided"),
        ("most", (0, 0, 100), "holds"),
        ("most", (0, 100, 100), "does not hold"),
        ("most", (0, 100), "does not hold"),
        ("most", (0, 20, 100), "holds"),
        ("most", (0, 24, 100), "undecided"),
        ("average", (0, 0, 20), "holds"),
        ("average", (0, 0, 100), "does not hold"),
        ("average", (10, 20, 30), "holds"),
        ("average", (10, 20, 33), "undecided"),
    ],
)
def test_quantifiers(make: Make, quantifier: str, right: Sequence[int], verdict: str) -> None:
    assert verdict_on(make.bound(at_most=0.10, quantifier=quantifier), make.models(*right)).verdict == verdict


def test_one_contradiction_among_many_must_stand_holms_correction(make: Make) -> None:
    # 30 of 200 is 15 %, significantly above 10 % on its own (p about 0.02) and not as one of twenty.
    assert verdict_on(make.bound(at_most=0.10), make.models(30)).verdict == "does not hold"
    assert verdict_on(make.bound(at_most=0.10), make.models(30, *[0] * 19)).verdict == "undecided"
    assert verdict_on(make.bound(at_most=0.10), make.models(60, *[0] * 19)).verdict == "does not hold"


def test_members_in_favour_of_most_are_counted_after_holms_correction(make: Make) -> None:
    # 8 of 200 are significantly fewer than 20 on their own (p about 0.02) and not as one of ten.
    claim = make.comparison(quantifier="most", pair_on=["model"])
    assert verdict_on(claim, make.pairs(1, 8)).verdict == "holds"
    finding = verdict_on(claim, make.pairs(10, 8))
    assert (finding.verdict, finding.supported, finding.members) == ("undecided", 0, 10)


def test_all_is_tested_member_by_member_at_the_full_level(make: Make) -> None:
    # Every member has to pass, so testing many of them only makes it harder (an intersection-union test).
    assert verdict_on(make.comparison(pair_on=["model"]), make.pairs(10, 8)).verdict == "holds"


def test_the_member_that_decides_is_named(make: Make) -> None:
    where = {"model": "net*"}
    finding = verdict_on(make.bound(at_most=0.10, where=where), make.models(0, 150, 100))
    assert finding.decisive == "net1"
    assert (finding.supported, finding.contradicted) == (1, 2)
    assert verdict_on(make.bound(at_most=0.10, where=where), make.models(0, 20, 5)).decisive == "net1"


# From a grid to a verdict --------------------------------------------------------------------------------------------


GRID = """
[define]
data = { name = "textures" }

[[grid]]
dataset = "@data"
model = "tiny-net"
attack = ["none", "sign"]
budget = ["linf:0/255", "linf:200/255"]
"""


STAND_IN = Substitution("dataset", "data", paper="skin images", here="textures")


def claims_of_a_grid(make: Make) -> Iterable[Claim]:
    yield make.bound(id="same", where={"budget": "linf:0/255", "attack": "sign"}, metric="fooling_rate", at_most=0.4)
    yield make.trend(id="falls", where={"attack": "sign"})
    yield make.bound(id="elsewhere", where={"attack": "PGD"}, at_most=0.5)


def test_from_a_grid_to_verdicts(make: Make, tmp_path: Path, session: Callable[..., Session]) -> None:
    (tmp_path / "grid.toml").write_text(GRID, encoding="utf-8")
    here = session()
    plan = here.plan(tmp_path / "grid.toml")
    before = verdicts_on(claims_of_a_grid(make), rows_of(plan), Store(tmp_path / "nothing"), lambda row: [])
    assert [finding.missing for finding in before[:2]] == [
        "records of 1 of 1 cells (not computed)",
        "records of 2 of 2 cells (not computed)",
    ]
    assert here.run(plan).complete
    same, falls, elsewhere = verdicts_on(claims_of_a_grid(make), rows_of(plan), here.store, lambda row: [STAND_IN])
    assert same.effect is not None
    assert (same.verdict, same.effect.effect, same.n, same.substituted) == ("holds", 0.0, 24, True)
    assert falls.verdict == "holds"
    assert (elsewhere.verdict, elsewhere.missing) == ("cannot be tested here", "attack PGD")
