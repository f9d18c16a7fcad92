"""Effects with their intervals: pairs of cells, classes and bins, trends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from medrobust import MedrobustError
from medrobust.api import Record, Value, bootstrap, compare, measure
from medrobust_leaderboard.claims import (
    verdict_on,
)
from medrobust_leaderboard.claims.estimates import EffectEstimate, apart, difference
from medrobust_leaderboard.claims.members import Item

Make = Any
"""The functions of conftest.py."""


# Comparisons ---------------------------------------------------------------------------------------------------------


def test_cells_that_share_images_are_compared_in_pairs(make: Make) -> None:
    weak, strong = make.record(100), make.record(80)
    finding = verdict_on(make.comparison(), [make.item(strong), make.item(weak, attack="FGSM")])
    expected = compare("accuracy", strong, weak)
    assert finding.effect is not None
    assert finding.effect == EffectEstimate(expected.difference, expected.low, expected.high, expected.p, expected.n)
    assert finding.verdict == "holds"


def test_pairing_finds_what_independent_samples_would_not(make: Make) -> None:
    # Ten of 200 images more are broken: plain in pairs, lost in the noise of two samples.
    strong, weak = make.item(90), make.item(100, attack="FGSM")
    assert verdict_on(make.comparison(), [strong, weak]).verdict == "holds"
    elsewhere = make.item(100, attack="FGSM", images="other")
    assert verdict_on(make.comparison(), [strong, elsewhere]).verdict == "undecided"


def test_independent_rates_by_newcombes_interval(make: Make) -> None:
    # Newcombe 1998, Table II, method 10: 56 of 70 against 48 of 80.
    finding = verdict_on(
        make.comparison(direction="greater"),
        [make.item(make.record(56, 70), images="a"), make.item(make.record(48, 80), attack="FGSM", images="b")],
    )
    assert finding.effect is not None
    assert finding.effect.effect == pytest.approx(0.2)
    assert finding.effect.low == pytest.approx(0.0524, abs=1e-4)
    assert finding.effect.high == pytest.approx(0.3339, abs=1e-4)
    assert finding.verdict == "holds"


@pytest.mark.parametrize(
    ("keys", "verdict"),
    [
        ({"direction": "less", "margin": 0.3}, "holds"),
        ({"direction": "less", "margin": 0.7}, "does not hold"),
        ({"direction": "less", "margin": 0.5}, "undecided"),
        ({"direction": "greater"}, "does not hold"),
        ({"direction": "equal", "margin": 0.6}, "holds"),
        ({"direction": "equal", "margin": 0.4}, "does not hold"),
        ({"direction": "equal", "margin": 0.5}, "undecided"),
        # 40 against 140 of 200: between a quarter and a third.
        ({"direction": "less", "factor": 0.5}, "holds"),
        ({"direction": "less", "factor": 0.2}, "does not hold"),
    ],
)
def test_margins_factors_and_directions(make: Make, keys: dict[str, Any], verdict: str) -> None:
    assert verdict_on(make.comparison(**keys), [make.item(40), make.item(140, attack="FGSM")]).verdict == verdict


def test_the_factor_scales_the_right_side_and_its_interval() -> None:
    found = apart(EffectEstimate(0.5, 0.4, 0.6, n=10), EffectEstimate(0.2, 0.1, 0.3, n=8), 2.0)
    assert found.effect == pytest.approx(0.1)
    assert found.low == pytest.approx(0.1 - (0.1**2 + 0.2**2) ** 0.5)
    assert found.high == pytest.approx(0.1 + (0.1**2 + 0.2**2) ** 0.5)
    assert found.n == 8


def test_pairs_agree_on_the_axes_named_and_on_the_seed(make: Make) -> None:
    cells = [make.item(10, dataset=d, attack=a, seed=s) for d in ("skin", "oct") for a in ("PGD", "FGSM") for s in "01"]
    finding = verdict_on(make.comparison(), cells)
    assert finding.members == 2
    assert finding.decisive in ("skin", "oct") or finding.decisive == ""


def test_a_cell_without_a_partner_is_missing_its_partner(make: Make) -> None:
    cells = [
        make.item(10),
        make.item(90, attack="FGSM"),
        make.item(10, dataset="oct"),
        make.item(10, dataset="chest", attack="FGSM"),
    ]
    finding = verdict_on(make.comparison(), cells)
    assert finding.verdict == "cannot be tested here"
    assert finding.missing == "a partner of equal dataset for 1 of 2 cells"


def test_a_clean_record_pairs_with_every_budget(make: Make) -> None:
    clean = make.item(make.record(200), attack="none", budget="")
    cells = [clean, *(make.item(20, budget=b) for b in ("linf:1/255", "linf:2/255"))]
    finding = verdict_on(make.comparison(right={"attack": "none"}, pair_on=["dataset", "budget"]), cells)
    assert (finding.verdict, finding.members) == ("holds", 2)


def test_two_metrics_of_one_record(make: Make) -> None:
    # Target class 0: half of the clean images are of it, and after the attack 75 %.
    shifted = make.record(100, 200, target=0)
    adversarial = np.zeros_like(shifted.adversarial)
    adversarial[:150, 0] = adversarial[150:, 1] = 4
    shifted = Record(**{**vars(shifted), "adversarial": adversarial})
    claim = make.comparison(
        metric="targeted_success", right_metric="targeted_baseline", left={}, right={}, direction="greater"
    )
    finding = verdict_on(claim, [make.item(shifted)])
    assert finding.effect is not None
    assert finding.effect.effect == pytest.approx(0.25)
    assert finding.verdict == "holds"


def test_changes_can_be_compared(make: Make) -> None:
    def cells(dataset: str, before: int, after: int) -> list[Item]:
        return [
            make.item(before, dataset=dataset, budget="linf:1/255", eps="1", images=dataset),
            make.item(after, dataset=dataset, budget="linf:8/255", eps="8", images=dataset),
        ]

    claim = make.comparison(
        metric="asr",
        where={"budget": "linf:8/255"},
        left={"dataset": "histology"},
        right={"dataset": "x-ray"},
        change_from={"budget": "linf:1/255"},
        pair_on=["attack"],
    )
    finding = verdict_on(claim, [*cells("histology", 100, 90), *cells("x-ray", 150, 40)])
    assert finding.effect is not None
    assert finding.effect.effect == pytest.approx(10 / 200 - 110 / 200)
    assert finding.verdict == "holds"
    without = [*cells("histology", 100, 90), cells("x-ray", 150, 40)[1]]
    assert verdict_on(claim, without).verdict == "cannot be tested here"


# Classes and bins ----------------------------------------------------------------------------------------------------


def test_a_class_is_selected_by_its_name(make: Make) -> None:
    everything_benign = Record(
        **{**vars(make.record(200)), "adversarial": np.tile(np.array([3, 0], np.float32), (200, 1))}
    )
    where = {"class": "benign"}
    assert verdict_on(
        make.bound(metric="predicted_share", where=where, at_least=0.9), [make.item(everything_benign)]
    ).verdict == ("holds")
    finding = verdict_on(
        make.bound(metric="predicted_share", where={"class": "MEL"}, at_least=0.9), [make.item(everything_benign)]
    )
    assert finding.missing == "class MEL"


def test_bins_without_images_are_left_out_and_told(make: Make) -> None:
    sure = np.where(np.arange(400) < 200, 0.97, 0.72)
    odds = np.log(sure / (1 - sure)).astype(np.float32)
    clean = np.stack([odds, np.zeros(400, dtype=np.float32)], axis=1)
    # The sure half stays, of the unsure half all are broken.
    adversarial = clean * np.where(sure > 0.9, 1, -1)[:, None].astype(np.float32)
    content = Record(
        "multiclass",
        np.array([str(i) for i in range(400)]),
        np.zeros(400, dtype=np.int64),
        clean,
        adversarial,
        np.zeros(400, dtype=np.float32),
        np.zeros(400, dtype=np.float32),
    )
    claim = make.comparison(
        metric="asr_by_confidence", left={"bin": "0.95"}, right={"bin": ["0.70", "0.75"]}, margin=0.1
    )
    finding = verdict_on(claim, [make.item(content)])
    assert (finding.verdict, finding.members) == ("holds", 1)
    assert finding.undefined.startswith("1 of 2 without a number")
    assert "[0.75, 0.80]" in finding.undefined


def test_two_bins_of_one_record_differ_by_a_bootstrap_of_their_difference() -> None:
    """Of patients, where they are known; many pairs of bins share the resamples."""
    rng = np.random.default_rng(0)
    odds = rng.uniform(0, 4, 300).astype(np.float32)
    clean = np.stack([odds, np.zeros(300, dtype=np.float32)], axis=1)
    adversarial = clean * np.where(rng.random(300) < odds / 5, 1, -1)[:, None].astype(np.float32)
    zeros, labels = np.zeros(300, dtype=np.float32), np.zeros(300, dtype=np.int64)
    patients = rng.integers(0, 90, 300).astype(str)
    content = Record(
        "multiclass", np.arange(300).astype(str), labels, clean, adversarial, zeros, zeros, groups=patients
    )

    def bins(record: Record) -> Value:
        values = measure("asr_by_confidence", record)
        return Value(float(values.value[9] - values.value[6]), n=len(record))  # type: ignore[index]

    sides = [Item({}, "cell", "test", (), content, index=index) for index in (9, 6)]
    expected = bootstrap(bins, content, resamples=100)
    found = difference(*sides, ("asr_by_confidence", "asr_by_confidence"), resamples=100)
    assert found.testable
    assert (found.effect, found.low, found.high) == (expected.scalar, expected.low, expected.high)


# Trends --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "verdict"),
    [
        ((180, 120, 60, 0), "holds"),
        ((180, 60, 0, 0, 0), "holds"),
        ((60, 120, 180), "does not hold"),
        ((180, 20, 60, 0), "does not hold"),
        ((100, 101, 99), "undecided"),
    ],
)
def test_trends(make: Make, right: Sequence[int], verdict: str) -> None:
    assert verdict_on(make.trend(), make.series(*right)).verdict == verdict


def test_a_trend_shows_the_step_that_contradicts_it(make: Make) -> None:
    finding = verdict_on(make.trend(), make.series(180, 20, 60, 0))
    assert finding.effect is not None
    assert finding.effect.effect == pytest.approx(0.2)


def test_eps_is_ordered_by_number(make: Make) -> None:
    cells = [make.item(200 - 10 * n, budget=f"linf:{n}/255", eps=str(n)) for n in (10, 2, 1)]
    finding = verdict_on(make.trend(), cells)
    assert finding.effect is not None
    assert finding.effect.effect == pytest.approx(-0.45)


def test_labels_are_ordered_as_listed(make: Make) -> None:
    cells = [make.item(n, dataset=d, images=d) for d, n in (("two", 150), ("four", 20), ("three", 100))]
    claim = make.trend(along="dataset", order=["two", "three", "four"], pair_on=["attack"])
    finding = verdict_on(claim, cells)
    assert finding.effect is not None
    assert finding.effect.effect == pytest.approx((20 - 150) / 200)
    assert finding.verdict == "holds"


def test_a_series_of_one_cell_says_what_it_lacks(make: Make) -> None:
    finding = verdict_on(make.trend(), make.series(100))
    assert (finding.verdict, finding.missing) == ("cannot be tested here", "a second value of eps for skin")


def test_a_series_with_two_cells_at_one_place_is_refused(make: Make) -> None:
    with pytest.raises(MedrobustError, match=r"c1: .*differ in 'model' \(net, other\).*pair_on"):
        verdict_on(
            make.trend(),
            [*make.series(100, 50), *(make.item(9, eps="2", budget="linf:2/255", model="other") for _ in "1")],
        )
