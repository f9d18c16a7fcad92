"""Rates and means against published intervals, against scipy, and against slow statements of the same formula."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from medrobust.results.statistics import mean, rate, undefined, wilson
from medrobust.results.statistics.rates import Z, mean_of_rates, t_quantile


def hits(of: int, n: int) -> NDArray[np.bool_]:
    return np.arange(n) < of


def names(codes: object) -> NDArray[np.str_]:
    return np.asarray([f"patient-{code}" for code in np.asarray(codes)])


@pytest.mark.parametrize(
    ("of", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_published(of: int, n: int, low: float, high: float) -> None:
    """Newcombe 1998, Stat Med 17:857, Table I, method 3."""
    assert rate(hits(of, n)).interval == pytest.approx((low, high), abs=6e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys_and_holds_the_rate(counts: tuple[int, int]) -> None:
    of, n = counts
    low, high = wilson(of / n, n)
    expected = stats.binomtest(of, n).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= low <= of / n <= high <= 1


def test_no_images_have_no_rate() -> None:
    assert rate(hits(0, 0), empty="no image is left") == undefined("no image is left")


def test_groups_of_one_image_change_nothing() -> None:
    plain, grouped = rate(hits(30, 100)), rate(hits(30, 100), names(range(100)))
    assert grouped == replace(plain, groups=100)


def test_copies_of_an_image_add_no_information() -> None:
    """Each of 50 patients with 4 equal images: the interval is that of 50 images, with Student's quantile."""
    found = rate(np.repeat(hits(20, 50), 4), names(np.repeat(range(50), 4)))
    assert (found.n, found.groups) == (200, 50)
    effective = 49 * (Z / t_quantile(49)) ** 2
    assert found.interval == pytest.approx(wilson(0.4, effective))


def test_at_zero_a_patient_counts_as_one_image() -> None:
    """No image differs, so that nothing is known of dependence: sum of squared sizes 40 x 25 over n 200 is 5."""
    found = rate(hits(0, 200), names(np.repeat(range(40), 5)))
    assert found.interval == pytest.approx(wilson(0.0, 40 * (Z / t_quantile(39)) ** 2))


def test_groups_never_narrow_an_interval() -> None:
    """Patients with one hit in two images each vary less than chance; that is not taken as information."""
    grouped = rate(np.arange(100) % 2 == 0, names(np.arange(100) // 2))
    assert grouped.interval == pytest.approx(wilson(0.5, 100 * (Z / t_quantile(49)) ** 2))


def test_a_single_group_has_no_interval() -> None:
    found = rate(hits(3, 10), names([0] * 10))
    assert (found.scalar, found.interval) == (0.3, None)
    assert found.note == "no interval: all images belong to one group"


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_clustered_interval_covers(share: float) -> None:
    """Patients with 1 to 9 images and beta-distributed rates: the plain interval covers far less than 95 %."""
    draws, clustered, plain = np.random.default_rng(7), 0, 0
    for _ in range(400):
        patients = np.repeat(np.arange(60), draws.integers(1, 10, 60))
        seen = draws.random(len(patients)) < draws.beta(2 * share, 2 * (1 - share), 60)[patients]
        for groups in (None, patients.astype(np.str_)):
            low, high = rate(seen, groups).interval or (1.0, 0.0)
            plain += groups is None and low <= share <= high
            clustered += groups is not None and low <= share <= high
    assert clustered / 400 >= 0.93
    assert plain / 400 <= 0.85


def test_mean_of_rates_joins_the_wilson_limits_of_its_strata() -> None:
    """Zou and Donner's square-and-add by hand: 8 of 10 and 5 of 20."""
    strata = np.repeat([0, 1], [10, 20])
    found = mean_of_rates(np.concatenate([hits(8, 10), hits(5, 20)]), strata, ["a", "b"])
    (low_a, high_a), (low_b, high_b) = wilson(0.8, 10), wilson(0.25, 20)
    low = 0.525 - ((0.8 - low_a) ** 2 + (0.25 - low_b) ** 2) ** 0.5 / 2
    high = 0.525 + ((high_a - 0.8) ** 2 + (high_b - 0.25) ** 2) ** 0.5 / 2
    assert found.scalar == pytest.approx(0.525)
    assert found.interval == pytest.approx((low, high))


def test_mean_has_a_t_interval() -> None:
    numbers = np.array([1.0, 2.0, 4.0, 7.0])
    expected = stats.ttest_1samp(numbers, 0).confidence_interval()
    assert mean(numbers).interval == pytest.approx((expected.low, expected.high))
