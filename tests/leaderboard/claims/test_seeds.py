"""Several seeds are one member of a claim, and how they differ counts: bounds, comparisons, trends, coverage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from medrobust.api import measure
from medrobust_leaderboard.claims import verdict_on
from medrobust_leaderboard.claims.borders import above
from medrobust_leaderboard.claims.estimates import EffectEstimate, over_repetitions
from medrobust_leaderboard.claims.members import Item

Make = Any
"""The functions of conftest.py."""


def test_seeds_make_one_member_and_their_spread_counts(make: Make) -> None:
    finding = verdict_on(make.bound(at_most=0.10), make.seeds(0, 30, 60))
    assert (finding.members, finding.effect and finding.effect.seeds) == (1, 3)
    assert finding.effect is not None
    assert finding.effect.effect == pytest.approx(0.15)
    # The t interval over three seeds, 4.303 * 0.15 / sqrt(3), and the mean of the Wilson intervals.
    images = np.mean([(measure("accuracy", make.record(n)).interval or (0, 0))[1] for n in (0, 30, 60)]) - 0.15
    assert finding.effect.high == pytest.approx(0.15 + np.hypot(4.3027 * 0.15 / 3**0.5, images), abs=1e-4)
    assert finding.effect.low == 0.0
    # 15 % is more than 10 %, and for any of the seeds' images significantly so; among the seeds it is chance.
    assert verdict_on(make.bound(at_most=0.10), [make.item(30)]).verdict == "does not hold"
    assert finding.verdict == "undecided"


def test_a_bound_holds_of_the_mean_over_seeds(make: Make) -> None:
    assert verdict_on(make.bound(at_most=0.16), make.seeds(0, 30, 60)).verdict == "holds"
    # A mean of equal numbers may differ from them by rounding.
    assert verdict_on(make.bound(at_least=0.7), make.seeds(140, 140, 140)).verdict == "holds"


def test_equal_seeds_do_not_make_an_interval_of_no_width(make: Make) -> None:
    finding = verdict_on(make.bound(at_most=0.01), make.seeds(0, 0, 0))
    assert finding.effect is not None
    assert finding.effect.high == pytest.approx(0.0188, abs=1e-4)


def test_a_single_seed_that_contradicts_is_not_enough_and_several_are(make: Make) -> None:
    assert verdict_on(make.bound(at_most=0.05), make.seeds(0, 0, 60)).verdict == "undecided"
    assert verdict_on(make.bound(at_most=0.05), make.seeds(50, 60, 55)).verdict == "does not hold"


def test_a_comparison_over_seeds_must_stand_their_spread(make: Make) -> None:
    # Each seed alone is significant; on the mean, one seed out of line leaves it to chance.
    weak = make.seeds(100, 100, 100, attack="FGSM")
    assert verdict_on(make.comparison(), [*make.seeds(60, 55, 65), *weak]).verdict == "holds"
    for right in (20, 80, 40):
        assert verdict_on(make.comparison(), [make.item(right), make.item(100, attack="FGSM")]).verdict == "holds"
    assert verdict_on(make.comparison(), [*make.seeds(20, 80, 95), *weak]).verdict == "undecided"


def test_a_trend_over_seeds_must_stand_their_spread(make: Make) -> None:
    def falling(*ends: int) -> list[Item]:
        first = make.seeds(*[180] * len(ends), budget="linf:1/255", eps="1")
        return [*first, *make.seeds(*ends, budget="linf:2/255", eps="2")]

    assert verdict_on(make.trend(), falling(100, 90, 110)).verdict == "holds"
    assert verdict_on(make.trend(), falling(0, 179, 179)).verdict == "undecided"


def test_few_seeds_have_heavy_tails() -> None:
    # Differences of 0.2 with a standard error of 0.02 over three seeds and images that add nothing: t = 10 with two
    # degrees of freedom, p = 0.0099, which a family of ten does not stand; a normal distribution would say 1e-23.
    steady = EffectEstimate(0.2, 0.2 - 4.3027 * 0.02, 0.2 + 4.3027 * 0.02, n=100, seeds=3, spread=0.02)
    assert above(steady, 0.0).supports == pytest.approx(0.00985, abs=1e-4)
    assert above(steady, 0.2 - 4.3027 * 0.02).supports == pytest.approx(0.05, abs=1e-4)
    # A border far beyond either is followed no further.
    assert above(replace(steady, effect=1e9, low=1e9 - 0.09, high=1e9 + 0.09), 0.0).supports <= 1e-12


def test_the_interval_over_seeds_covers_what_it_should() -> None:
    # Five trainings whose accuracies vary as much as their mean does with the 400 test images they share.
    rng = np.random.default_rng(7)
    truth, runs, covered = 0.5, 2000, 0
    for _ in range(runs):
        luck = rng.normal(0, 0.025)
        found = [truth + luck + rng.normal(0, 0.025 * 5**0.5) for _ in range(5)]
        whole = over_repetitions([EffectEstimate(x, x - 1.96 * 0.025, x + 1.96 * 0.025, n=400) for x in found], (0, 1))
        assert whole.low is not None
        assert whole.high is not None
        covered += whole.low <= truth <= whole.high
    assert 0.94 < covered / runs < 0.98
