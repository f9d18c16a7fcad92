"""Claims: each verdict arises where it should, what is missing is named, and it is told in words."""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from rich.console import Console

from medrobust import MedrobustError
from medrobust.api import Record, Session, Store, Value, compare, measure
from medrobust_leaderboard.claims import (
    BoundClaim,
    Claim,
    ComparisonClaim,
    Finding,
    TrendClaim,
    as_facts,
    claims_to_terminal,
    describe,
    summarize_claims,
    unplanned,
    verdict_on,
    verdicts_on,
)
from medrobust_leaderboard.claims.borders import above
from medrobust_leaderboard.claims.estimates import EffectEstimate, apart, over_repetitions
from medrobust_leaderboard.claims.members import Item
from medrobust_leaderboard.claims.terminal import STYLES
from medrobust_leaderboard.claims.verdicts import Verdict
from medrobust_leaderboard.page import VERDICTS, render_page
from medrobust_leaderboard.profiles import Substitution
from medrobust_leaderboard.selection import rows_of


def record(right: int, n: int = 200, *, first_right: int = 0, target: int | None = None) -> Record:
    """A two-class record: all correct when clean; under attack, `right` images in a row from `first_right` are."""
    labels = np.arange(n) % 2
    clean = np.eye(2, dtype=np.float32)[labels] * 4
    adversarial = clean[:, ::-1].copy()
    kept = slice(first_right, first_right + right)
    adversarial[kept] = clean[kept]
    zeros = np.zeros(n, dtype=np.float32)
    ids = np.array([f"image-{i}" for i in range(n)])
    return Record("multiclass", ids, labels.astype(np.int64), clean, adversarial, zeros, zeros, None, target)


def item(content: Record | int | None, *, images: str = "test", absent: str = "not computed", **labels: str) -> Item:
    """A cell with labels; a number is that of the images that stay correct, of 200."""
    row = {"dataset": "skin", "attack": "PGD", "budget": "linf:1/255", "model": "net", "seed": "0"} | labels
    found = record(content) if isinstance(content, int) else content
    return Item(row, " ".join(row.values()), images, ("benign", "malignant"), found, absent)


def bound(**keys: Any) -> BoundClaim:
    return BoundClaim(**{"id": "c1", "text": "Few images survive.", "section": "4.2", "metric": "accuracy"} | keys)


def comparison(**keys: Any) -> ComparisonClaim:
    basis = {"id": "c1", "text": "PGD beats FGSM.", "section": "4.2", "metric": "accuracy"}
    sides = {"left": {"attack": "PGD"}, "right": {"attack": "FGSM"}, "pair_on": ["dataset"], "direction": "less"}
    return ComparisonClaim(**basis | sides | keys)


def trend(**keys: Any) -> TrendClaim:
    basis = {"id": "c1", "text": "Accuracy falls.", "section": "4.2", "metric": "accuracy"}
    return TrendClaim(**basis | {"along": "eps", "direction": "decreasing", "pair_on": ["dataset"]} | keys)


def series(*right: int) -> list[Item]:
    return [item(count, budget=f"linf:{n}/255", eps=f"{n}") for n, count in enumerate(right, 1)]


# Bounds --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "verdict"), [(0, "holds"), (60, "does not hold"), (12, "undecided"), (None, "cannot be tested here")]
)
def test_every_verdict_on_a_bound(right: int | None, verdict: str) -> None:
    finding = verdict_on(bound(at_most=0.05), [item(right)])
    assert finding.verdict == verdict


def test_a_bound_reports_value_interval_and_n() -> None:
    finding = verdict_on(bound(at_least=0.5), [item(140)])
    assert finding.effect is not None
    assert (finding.effect.effect, finding.n, finding.members) == (0.7, 200, 1)
    # Wilson interval of 140 of 200.
    assert finding.effect.low == pytest.approx(0.6332, abs=1e-4)
    assert finding.effect.high == pytest.approx(0.7592, abs=1e-4)


def test_a_bound_is_a_statement_about_the_estimate() -> None:
    # No image of 200 is left: at most 1 %, though the Wilson interval ends at 1.88 %.
    assert verdict_on(bound(at_most=0.01), [item(0)]).verdict == "holds"
    assert verdict_on(bound(at_most=0.0), [item(0)]).verdict == "holds"
    # 2 of 200 are 1 %, and 198 of 200 are 99 %: what is just satisfied is satisfied.
    assert verdict_on(bound(at_most=0.01), [item(2)]).verdict == "holds"
    assert verdict_on(bound(at_least=0.99), [item(198)]).verdict == "holds"


@pytest.mark.parametrize(("border", "verdict"), [(0.0348, "undecided"), (0.0346, "does not hold")])
def test_only_a_violation_beyond_chance_contradicts_a_bound(border: float, verdict: str) -> None:
    # The Wilson interval of 12 of 200 begins at 3.466 %.
    assert verdict_on(bound(at_most=border), [item(12)]).verdict == verdict


def test_a_number_without_interval_satisfies_a_bound_and_contradicts_none() -> None:
    def printed(rate: float, **labels: str) -> Item:
        return replace(item(None, **labels), values={"accuracy": Value(rate)})

    assert verdict_on(bound(at_most=0.05), [printed(0.04)]).verdict == "holds"
    assert verdict_on(bound(at_most=0.05), [printed(0.9)]).verdict == "undecided"
    finding = verdict_on(comparison(), [printed(0.1), printed(0.9, attack="FGSM")])
    assert (finding.verdict, finding.missing) == (
        "cannot be tested here",
        "1 of 1 without a number or an interval: no interval",
    )


def test_cells_outside_the_selection_do_not_count() -> None:
    finding = verdict_on(bound(where={"attack": "PGD"}, at_most=0.05), [item(0), item(200, attack="FGSM")])
    assert (finding.verdict, finding.members) == ("holds", 1)


def test_a_list_of_selections_is_a_choice() -> None:
    where = [{"dataset": "skin", "budget": "linf:1/255"}, {"dataset": "oct", "budget": "linf:2/255"}]
    cells = [
        item(0),
        item(0, dataset="oct", budget="linf:2/255"),
        item(200, dataset="oct"),
        item(200, budget="linf:2/255"),
    ]
    finding = verdict_on(bound(where=where, at_most=0.05), cells)
    assert (finding.verdict, finding.members) == ("holds", 2)


# Quantifiers and families --------------------------------------------------------------------------------------------


def models(*right: int) -> list[Item]:
    return [item(count, model=f"net{n}") for n, count in enumerate(right)]


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
def test_quantifiers(quantifier: str, right: Sequence[int], verdict: str) -> None:
    assert verdict_on(bound(at_most=0.10, quantifier=quantifier), models(*right)).verdict == verdict


def test_one_contradiction_among_many_must_stand_holms_correction() -> None:
    # 30 of 200 is 15 %, significantly above 10 % on its own (p about 0.02) and not as one of twenty.
    assert verdict_on(bound(at_most=0.10), models(30)).verdict == "does not hold"
    assert verdict_on(bound(at_most=0.10), models(30, *[0] * 19)).verdict == "undecided"
    assert verdict_on(bound(at_most=0.10), models(60, *[0] * 19)).verdict == "does not hold"


def pairs(count: int, right: int) -> list[Item]:
    """PGD and FGSM on several models, on images of their own; FGSM leaves 20 of 200."""
    return [
        item(n, model=f"net{m}", attack=a, images=f"{m}{a}")
        for m in range(count)
        for a, n in (("PGD", right), ("FGSM", 20))
    ]


def test_members_in_favour_of_most_are_counted_after_holms_correction() -> None:
    # 8 of 200 are significantly fewer than 20 on their own (p about 0.02) and not as one of ten.
    claim = comparison(quantifier="most", pair_on=["model"])
    assert verdict_on(claim, pairs(1, 8)).verdict == "holds"
    finding = verdict_on(claim, pairs(10, 8))
    assert (finding.verdict, finding.supported, finding.members) == ("undecided", 0, 10)


def test_all_is_tested_member_by_member_at_the_full_level() -> None:
    # Every member has to pass, so testing many of them only makes it harder (an intersection-union test).
    assert verdict_on(comparison(pair_on=["model"]), pairs(10, 8)).verdict == "holds"


def test_the_member_that_decides_is_named() -> None:
    where = {"model": "net*"}
    finding = verdict_on(bound(at_most=0.10, where=where), models(0, 150, 100))
    assert finding.decisive == "net1"
    assert (finding.supported, finding.contradicted) == (1, 2)
    assert verdict_on(bound(at_most=0.10, where=where), models(0, 20, 5)).decisive == "net1"


# Seeds ---------------------------------------------------------------------------------------------------------------


def seeds(*right: int, **labels: str) -> list[Item]:
    return [item(count, seed=str(n), **labels) for n, count in enumerate(right)]


def test_seeds_make_one_member_and_their_spread_counts() -> None:
    finding = verdict_on(bound(at_most=0.10), seeds(0, 30, 60))
    assert (finding.members, finding.effect and finding.effect.seeds) == (1, 3)
    assert finding.effect is not None
    assert finding.effect.effect == pytest.approx(0.15)
    # The t interval over three seeds, 4.303 * 0.15 / sqrt(3), and the mean of the Wilson intervals.
    images = np.mean([(measure("accuracy", record(n)).interval or (0, 0))[1] for n in (0, 30, 60)]) - 0.15
    assert finding.effect.high == pytest.approx(0.15 + np.hypot(4.3027 * 0.15 / 3**0.5, images), abs=1e-4)
    assert finding.effect.low == 0.0
    # 15 % is more than 10 %, and for any of the seeds' images significantly so; among the seeds it is chance.
    assert verdict_on(bound(at_most=0.10), [item(30)]).verdict == "does not hold"
    assert finding.verdict == "undecided"


def test_a_bound_holds_of_the_mean_over_seeds() -> None:
    assert verdict_on(bound(at_most=0.16), seeds(0, 30, 60)).verdict == "holds"
    # A mean of equal numbers may differ from them by rounding.
    assert verdict_on(bound(at_least=0.7), seeds(140, 140, 140)).verdict == "holds"


def test_equal_seeds_do_not_make_an_interval_of_no_width() -> None:
    finding = verdict_on(bound(at_most=0.01), seeds(0, 0, 0))
    assert finding.effect is not None
    assert finding.effect.high == pytest.approx(0.0188, abs=1e-4)


def test_a_single_seed_that_contradicts_is_not_enough_and_several_are() -> None:
    assert verdict_on(bound(at_most=0.05), seeds(0, 0, 60)).verdict == "undecided"
    assert verdict_on(bound(at_most=0.05), seeds(50, 60, 55)).verdict == "does not hold"


def test_a_comparison_over_seeds_must_stand_their_spread() -> None:
    # Each seed alone is significant; on the mean, one seed out of line leaves it to chance.
    weak = seeds(100, 100, 100, attack="FGSM")
    assert verdict_on(comparison(), [*seeds(60, 55, 65), *weak]).verdict == "holds"
    for right in (20, 80, 40):
        assert verdict_on(comparison(), [item(right), item(100, attack="FGSM")]).verdict == "holds"
    assert verdict_on(comparison(), [*seeds(20, 80, 95), *weak]).verdict == "undecided"


def test_a_trend_over_seeds_must_stand_their_spread() -> None:
    def falling(*ends: int) -> list[Item]:
        first = seeds(*[180] * len(ends), budget="linf:1/255", eps="1")
        return [*first, *seeds(*ends, budget="linf:2/255", eps="2")]

    assert verdict_on(trend(), falling(100, 90, 110)).verdict == "holds"
    assert verdict_on(trend(), falling(0, 179, 179)).verdict == "undecided"


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


# Comparisons ---------------------------------------------------------------------------------------------------------


def test_cells_that_share_images_are_compared_in_pairs() -> None:
    weak, strong = record(100), record(80)
    finding = verdict_on(comparison(), [item(strong), item(weak, attack="FGSM")])
    expected = compare("accuracy", strong, weak)
    assert finding.effect is not None
    assert finding.effect == EffectEstimate(expected.difference, expected.low, expected.high, expected.p, expected.n)
    assert finding.verdict == "holds"


def test_pairing_finds_what_independent_samples_would_not() -> None:
    # Ten of 200 images more are broken: plain in pairs, lost in the noise of two samples.
    strong, weak = item(90), item(100, attack="FGSM")
    assert verdict_on(comparison(), [strong, weak]).verdict == "holds"
    elsewhere = item(100, attack="FGSM", images="other")
    assert verdict_on(comparison(), [strong, elsewhere]).verdict == "undecided"


def test_independent_rates_by_newcombes_interval() -> None:
    # Newcombe 1998, Table II, method 10: 56 of 70 against 48 of 80.
    finding = verdict_on(
        comparison(direction="greater"),
        [item(record(56, 70), images="a"), item(record(48, 80), attack="FGSM", images="b")],
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
def test_margins_factors_and_directions(keys: dict[str, Any], verdict: str) -> None:
    assert verdict_on(comparison(**keys), [item(40), item(140, attack="FGSM")]).verdict == verdict


def test_the_factor_scales_the_right_side_and_its_interval() -> None:
    found = apart(EffectEstimate(0.5, 0.4, 0.6, n=10), EffectEstimate(0.2, 0.1, 0.3, n=8), 2.0)
    assert found.effect == pytest.approx(0.1)
    assert found.low == pytest.approx(0.1 - (0.1**2 + 0.2**2) ** 0.5)
    assert found.high == pytest.approx(0.1 + (0.1**2 + 0.2**2) ** 0.5)
    assert found.n == 8


def test_pairs_agree_on_the_axes_named_and_on_the_seed() -> None:
    cells = [item(10, dataset=d, attack=a, seed=s) for d in ("skin", "oct") for a in ("PGD", "FGSM") for s in "01"]
    finding = verdict_on(comparison(), cells)
    assert finding.members == 2
    assert finding.decisive in ("skin", "oct") or finding.decisive == ""


def test_a_cell_without_a_partner_is_missing_its_partner() -> None:
    cells = [item(10), item(90, attack="FGSM"), item(10, dataset="oct"), item(10, dataset="chest", attack="FGSM")]
    finding = verdict_on(comparison(), cells)
    assert finding.verdict == "cannot be tested here"
    assert finding.missing == "a partner of equal dataset for 1 of 2 cells"


def test_a_clean_record_pairs_with_every_budget() -> None:
    clean = item(record(200), attack="none", budget="")
    cells = [clean, *(item(20, budget=b) for b in ("linf:1/255", "linf:2/255"))]
    finding = verdict_on(comparison(right={"attack": "none"}, pair_on=["dataset", "budget"]), cells)
    assert (finding.verdict, finding.members) == ("holds", 2)


def test_two_metrics_of_one_record() -> None:
    # Target class 0: half of the clean images are of it, and after the attack 75 %.
    shifted = record(100, 200, target=0)
    adversarial = np.zeros_like(shifted.adversarial)
    adversarial[:150, 0] = adversarial[150:, 1] = 4
    shifted = Record(**{**vars(shifted), "adversarial": adversarial})
    claim = comparison(
        metric="targeted_success", right_metric="targeted_baseline", left={}, right={}, direction="greater"
    )
    finding = verdict_on(claim, [item(shifted)])
    assert finding.effect is not None
    assert finding.effect.effect == pytest.approx(0.25)
    assert finding.verdict == "holds"


def test_changes_can_be_compared() -> None:
    def cells(dataset: str, before: int, after: int) -> list[Item]:
        return [
            item(before, dataset=dataset, budget="linf:1/255", eps="1", images=dataset),
            item(after, dataset=dataset, budget="linf:8/255", eps="8", images=dataset),
        ]

    claim = comparison(
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


def test_a_class_is_selected_by_its_name() -> None:
    everything_benign = Record(**{**vars(record(200)), "adversarial": np.tile(np.array([3, 0], np.float32), (200, 1))})
    where = {"class": "benign"}
    assert verdict_on(
        bound(metric="predicted_share", where=where, at_least=0.9), [item(everything_benign)]
    ).verdict == ("holds")
    finding = verdict_on(
        bound(metric="predicted_share", where={"class": "MEL"}, at_least=0.9), [item(everything_benign)]
    )
    assert finding.missing == "class MEL"


def test_bins_without_images_are_left_out_and_told() -> None:
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
    claim = comparison(metric="asr_by_confidence", left={"bin": "0.95"}, right={"bin": ["0.70", "0.75"]}, margin=0.1)
    finding = verdict_on(claim, [item(content)])
    assert (finding.verdict, finding.members) == ("holds", 1)
    assert finding.undefined.startswith("1 of 2 without a number")
    assert "[0.75, 0.80]" in finding.undefined


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
def test_trends(right: Sequence[int], verdict: str) -> None:
    assert verdict_on(trend(), series(*right)).verdict == verdict


def test_a_trend_shows_the_step_that_contradicts_it() -> None:
    finding = verdict_on(trend(), series(180, 20, 60, 0))
    assert finding.effect is not None
    assert finding.effect.effect == pytest.approx(0.2)


def test_eps_is_ordered_by_number() -> None:
    cells = [item(200 - 10 * n, budget=f"linf:{n}/255", eps=str(n)) for n in (10, 2, 1)]
    finding = verdict_on(trend(), cells)
    assert finding.effect is not None
    assert finding.effect.effect == pytest.approx(-0.45)


def test_labels_are_ordered_as_listed() -> None:
    cells = [item(n, dataset=d, images=d) for d, n in (("two", 150), ("four", 20), ("three", 100))]
    claim = trend(along="dataset", order=["two", "three", "four"], pair_on=["attack"])
    finding = verdict_on(claim, cells)
    assert finding.effect is not None
    assert finding.effect.effect == pytest.approx((20 - 150) / 200)
    assert finding.verdict == "holds"


def test_a_series_of_one_cell_says_what_it_lacks() -> None:
    finding = verdict_on(trend(), series(100))
    assert (finding.verdict, finding.missing) == ("cannot be tested here", "a second value of eps for skin")


def test_a_series_with_two_cells_at_one_place_is_refused() -> None:
    with pytest.raises(MedrobustError, match=r"c1: .*differ in 'model' \(net, other\).*pair_on"):
        verdict_on(trend(), [*series(100, 50), *(item(9, eps="2", budget="linf:2/255", model="other") for _ in "1")])


# What is missing -----------------------------------------------------------------------------------------------------


def test_labels_that_the_grid_lacks_are_named() -> None:
    finding = verdict_on(bound(where={"attack": ["PGD", "CW"], "dataset": ["skin", "oct"]}, at_most=0.5), [item(0)])
    assert finding.verdict == "cannot be tested here"
    assert finding.missing == "attack CW; dataset oct"


def test_a_combination_that_the_grid_lacks_is_named() -> None:
    cells = [item(0), item(0, attack="CW", dataset="oct")]
    finding = verdict_on(bound(where={"attack": "CW", "dataset": "skin"}, at_most=0.5), cells)
    assert "attack CW together with dataset skin" in finding.missing


def test_the_reason_of_an_exclusion_is_told() -> None:
    row = {**item(0).row, "detector": "KD<same"}
    excluded = Item(row, excluded="detectors are not computed yet")
    finding = verdict_on(
        bound(metric="detection_auc", where={"detector": "KD<same"}, at_least=0.9), [item(0), excluded]
    )
    assert finding.missing == "detector KD<same (detectors are not computed yet); scores of detectors"


def test_records_that_are_not_there_are_counted_with_their_reason() -> None:
    cells = [item(0), item(None, model="b"), item(None, model="c", absent="failed: out of memory")]
    finding = verdict_on(bound(at_most=0.5), cells)
    assert finding.verdict == "cannot be tested here"
    assert finding.missing == "records of 2 of 3 cells (not computed; failed: out of memory)"


def test_a_contradiction_of_all_stands_without_the_rest() -> None:
    cells = [item(180), item(None, model="b")]
    assert verdict_on(bound(at_most=0.5), cells).verdict == "does not hold"
    assert verdict_on(bound(at_most=0.5, quantifier="most"), cells).verdict == "cannot be tested here"
    assert verdict_on(bound(at_most=0.5, quantifier="average"), cells).verdict == "cannot be tested here"


def test_a_metric_that_is_undefined_everywhere_says_why() -> None:
    finding = verdict_on(bound(metric="targeted_success", at_least=0.5), [item(0)])
    assert finding.verdict == "cannot be tested here"
    assert "the attack was not targeted" in finding.missing


def test_without_a_grid_a_claim_says_what_the_grid_needs() -> None:
    (finding,) = unplanned([bound(where={"attack": "uap", "dataset": ["skin", "oct"]}, at_most=0.5)])
    assert finding.verdict == "cannot be tested here"
    assert finding.missing == "the paper's grid (attack uap; dataset skin, oct)"


# Telling -------------------------------------------------------------------------------------------------------------


def findings() -> list[Finding]:
    where = {"model": "net*"}
    return [
        verdict_on(bound(at_most=0.05), models(0)),
        verdict_on(bound(id="c2", at_most=0.05), models(1)),
        verdict_on(bound(id="c3", at_most=0.05, where=where), models(0, 100)),
        verdict_on(bound(id="c4", at_most=0.05), models(12)),
        verdict_on(bound(id="c5", at_most=0.05, text="ζ " * 60), []),
    ]


def printed(found: Sequence[Finding], width: int, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    claims_to_terminal(found, Console(file=stream, width=width, legacy_windows=False))
    stream.flush()
    content = stream.buffer
    assert isinstance(content, io.BytesIO)
    return content.getvalue().decode(encoding)


def test_the_summary_counts_verdicts_in_words() -> None:
    assert summarize_claims(findings()) == ("5 claims: 2 hold, 1 does not hold, 1 undecided, 1 cannot be tested here")
    assert summarize_claims(findings()[:1]) == "1 claim: 1 holds"


def test_a_verdict_is_told_with_effect_interval_n_and_section() -> None:
    third = findings()[2]
    assert describe(third) == [
        "most contrary of 2 (net1): 50.0 % [43.1, 56.9]",
        "claimed: at most 5.0 %",
        "1 of 2 in favour, 1 against",
        "n = 200",
        "section 4.2",
    ]


def test_differences_are_told_in_points() -> None:
    finding = verdict_on(comparison(margin=0.3), [item(40), item(140, attack="FGSM")])
    assert describe(finding)[0].startswith("−50.0 points [−5")
    assert describe(finding)[1] == "claimed: below −30.0 points"


@pytest.mark.parametrize("width", [80, 100])
def test_the_terminal_keeps_its_width(width: int) -> None:
    text = printed(findings(), width)
    assert max(map(len, text.splitlines())) <= width
    assert "c3  does not hold" in text
    assert "5 claims: 2 hold, 1 does not hold" in text


def test_a_terminal_without_unicode_gets_ascii() -> None:
    assert "zeta" in printed(findings(), 80, "ascii")


def test_verdicts_on_substitutes_say_so() -> None:
    stand_in = Item(**{**vars(item(0)), "substituted": True})
    finding = verdict_on(bound(at_most=0.5), [stand_in])
    assert finding.substituted
    assert describe(finding)[-1] == "section 4.2; on substitutes"
    assert "about the substitutes" in printed([finding], 80)
    assert "substitutes" not in printed(findings(), 80)


def test_page_and_terminal_know_the_same_verdicts() -> None:
    assert list(STYLES) == list(VERDICTS) == list(get_args(Verdict))


def test_the_page_takes_findings() -> None:
    page = render_page("Title", "Intro", [], claims=[as_facts(finding) for finding in findings()])
    assert "most contrary of 2 (net1): 50.0 %" in page
    assert "needs the paper&#39;s grid" in page
    assert "<strong>5 claims</strong> of the paper: holds (2), does not hold (1)" in page


def test_a_reading_is_told_where_it_was_tested() -> None:
    claim = bound(at_most=0.05, reading="Few is our word.")
    assert describe(verdict_on(claim, models(0)))[-1] == "reading: Few is our word."
    assert "reading" not in " ".join(describe(verdict_on(claim, [])))


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


def claims_of_a_grid() -> Iterable[Claim]:
    yield bound(id="same", where={"budget": "linf:0/255", "attack": "sign"}, metric="fooling_rate", at_most=0.4)
    yield trend(id="falls", where={"attack": "sign"})
    yield bound(id="elsewhere", where={"attack": "PGD"}, at_most=0.5)


def test_from_a_grid_to_verdicts(tmp_path: Path, session: Callable[..., Session]) -> None:
    (tmp_path / "grid.toml").write_text(GRID, encoding="utf-8")
    here = session()
    plan = here.plan(tmp_path / "grid.toml")
    before = verdicts_on(claims_of_a_grid(), rows_of(plan), Store(tmp_path / "nothing"), lambda row: [])
    assert [finding.missing for finding in before[:2]] == [
        "records of 1 of 1 cells (not computed)",
        "records of 2 of 2 cells (not computed)",
    ]
    assert here.run(plan).complete
    same, falls, elsewhere = verdicts_on(claims_of_a_grid(), rows_of(plan), here.store, lambda row: [STAND_IN])
    assert same.effect is not None
    assert (same.verdict, same.effect.effect, same.n, same.substituted) == ("holds", 0.0, 24, True)
    assert falls.verdict == "holds"
    assert (elsewhere.verdict, elsewhere.missing) == ("cannot be tested here", "attack PGD")
