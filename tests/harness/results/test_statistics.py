"""Statistics against published examples, against scipy, and against slow statements of the same formula."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from medrobust.errors import MedrobustError
from medrobust.results.metrics import METRICS, compare, measure
from medrobust.results.outcomes import take
from medrobust.results.record import Record
from medrobust.results.statistics import (
    Value,
    align,
    bootstrap,
    delong,
    holm,
    mcnemar,
    mean_of,
    over_seeds,
    paired_bootstrap,
    pooled,
    undefined,
    worst_case,
)
from medrobust.results.statistics.auc import Area, area, auc_value, newcombe
from medrobust.results.statistics.comparison import sign_test
from medrobust.results.statistics.rates import Z, t_quantile


def hits(of: int, n: int) -> NDArray[np.bool_]:
    return np.arange(n) < of


def names(codes: object) -> NDArray[np.str_]:
    return np.asarray([f"patient-{code}" for code in np.asarray(codes)])


def width(value: Value) -> float:
    assert value.interval is not None
    return value.interval[1] - value.interval[0]


def record(labels: object, decided: object, groups: NDArray[np.str_] | None = None) -> Record:
    """A two-class record that is right when clean and decides as told under attack."""
    truth = np.asarray(labels, dtype=np.int64)
    n, one_hot = len(truth), np.eye(2, dtype=np.float32)
    ids, zeros = np.array([f"image-{i}" for i in range(n)]), np.zeros(n, dtype=np.float32)
    return Record("multiclass", ids, truth, one_hot[truth], one_hot[np.asarray(decided)], zeros, zeros, groups)


def noisy(n: int = 120, seed: int = 0, strength: float = 1.0, patients: int | None = None) -> Record:
    """A two-class record with patients whose images share part of their noise."""
    draws = np.random.default_rng(seed)
    patient = np.arange(n) if patients is None else draws.integers(0, patients, n)
    labels = draws.integers(0, 2, patient.max() + 1)[patient]
    shared = draws.normal(size=patient.max() + 1)[patient]
    clean = np.stack([np.zeros(n), 2 * labels - 1 + 0.8 * shared], axis=1).astype(np.float32)
    scores = strength * (labels - 0.5) + 0.8 * shared + 0.6 * draws.normal(size=n)
    attacked = np.stack([np.zeros(n), scores], axis=1).astype(np.float32)
    zeros = np.zeros(n, dtype=np.float32)
    groups = None if patients is None else names(patient)
    return Record(
        "multiclass", np.array([f"image-{i}" for i in range(n)]), labels, clean, attacked, zeros, zeros, groups
    )


class TestAuc:
    # Ratings of 58 normal and 51 abnormal images (Hanley and McNeil 1982, Radiology 143:29, Table I).
    RATINGS = np.concatenate([np.repeat(range(5), [33, 6, 6, 11, 2]), np.repeat(range(5), [3, 2, 2, 11, 33])]) * 1.0
    DISEASE = np.arange(109) >= 58

    def test_delong_as_published(self) -> None:
        """Stata's manual, roctab on these data: area 0.8932, standard error 0.0307, 95 % 0.83295 to 0.95339."""
        found = auc_value(self.RATINGS, self.DISEASE)
        assert found.scalar == pytest.approx(0.8932, abs=5e-5)
        assert found.interval == pytest.approx((0.83295, 0.95339), abs=5e-6)
        assert width(found) / 2 / Z == pytest.approx(0.0307, abs=5e-5)

    def test_influences_are_delongs_placements(self) -> None:
        """Variance and paired covariance from the m x n table of comparisons, as in the paper of 1988."""
        draws = np.random.default_rng(3)
        positive = draws.random(60) < 0.4
        scores = [np.round(draws.normal(size=60) + positive, 1) for _ in range(2)]
        tables = [(s[positive][:, None] > s[~positive]) + 0.5 * (s[positive][:, None] == s[~positive]) for s in scores]
        m, n = tables[0].shape
        rows, columns = np.cov([t.mean(axis=1) for t in tables]), np.cov([t.mean(axis=0) for t in tables])
        covariance = rows / m + columns / n
        areas = [area(s, positive) for s in scores]
        one, two = areas
        assert isinstance(one, Area)
        assert isinstance(two, Area)
        assert [one.auc, two.auc] == pytest.approx([t.mean() for t in tables])
        assert one.influence @ one.influence == pytest.approx(covariance[0, 0])
        assert one.influence @ two.influence == pytest.approx(covariance[0, 1])
        found = delong(one, two)
        error = (covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]) ** 0.5
        assert found.p == pytest.approx(2 * stats.norm.sf(abs(one.auc - two.auc) / error))

    def test_clustered_variance_is_obuchowskis(self) -> None:
        """Her three terms by hand; the factor of the cross term differs by less than 1 % with 80 patients."""
        draws = np.random.default_rng(4)
        patients = draws.integers(0, 80, 300)
        positive = draws.random(300) < draws.beta(1, 1, 80)[patients]
        scores = draws.normal(size=80)[patients] + draws.normal(size=300) + positive
        table = scores[positive][:, None] > scores[~positive]
        m, n = table.shape
        above, below = table.mean(axis=1) - table.mean(), table.mean(axis=0) - table.mean()
        x = np.bincount(patients[positive], above, 80)
        y = np.bincount(patients[~positive], below, 80)
        with_positive, with_negative = (len(np.unique(patients[mask])) for mask in (positive, ~positive))
        total = len(np.unique(patients))
        expected = (
            with_positive / (with_positive - 1) * (x @ x) / m**2
            + with_negative / (with_negative - 1) * (y @ y) / n**2
            + 2 * total / (total - 1) * (x @ y) / (m * n)
        )
        found = auc_value(scores, positive, names(patients))
        assert (width(found) / 2 / t_quantile(total - 1)) ** 2 == pytest.approx(expected, rel=0.01)
        assert found.groups == total

    def test_perfect_separation_has_newcombes_interval(self) -> None:
        found = auc_value(np.arange(20.0), np.arange(20) >= 10)
        assert found.scalar == 1.0
        assert found.interval is not None
        low, high = found.interval
        assert high == 1.0
        # The score equation at the limit, solved by hand: (1 - t)^2 = z^2 V(t).
        inner = 1 + 9 * (1 - low) / (2 - low) + 9 * low / (1 + low)
        assert (1 - low) ** 2 == pytest.approx(Z**2 * low * (1 - low) * inner / 100, rel=1e-6)
        assert 0.6 < low < 0.9
        mirrored = newcombe(0.0, 10, 10)
        assert mirrored == pytest.approx((0.0, 1 - low))

    def test_one_class_has_no_auc(self) -> None:
        assert auc_value(np.arange(3.0), hits(3, 3)).reason == "only positive images, and an AUC needs both"

    @pytest.mark.parametrize("name", ["auc", "relative_auc", "balanced_accuracy", "accuracy", "asr"])
    @pytest.mark.parametrize("patients", [None, 80])
    def test_closed_intervals_agree_with_the_bootstrap(self, name: str, patients: int | None) -> None:
        of = noisy(240, seed=5, patients=patients)
        closed, resampled = measure(name, of), bootstrap(METRICS[name], of, resamples=400)
        assert width(closed) == pytest.approx(width(resampled), rel=0.15)

    def test_the_delta_method_of_relative_auc_agrees_with_the_jackknife(self) -> None:
        """Clean and adversarial scores share noise, at AUCs far apart, so that both terms matter."""
        draws = np.random.default_rng(6)
        labels, shared = draws.integers(0, 2, 150), draws.normal(size=150)
        scores = [shift * labels + shared + 0.4 * draws.normal(size=150) for shift in (1.0, -1.0)]
        clean, attacked = (np.stack([np.zeros(150), s], axis=1).astype(np.float32) for s in scores)
        of = replace(record(labels, labels), clean=clean, adversarial=attacked)
        left_out = np.array(
            [measure("relative_auc", take(of, np.delete(np.arange(150), i))).scalar for i in range(150)], dtype=float
        )
        error = (149 / 150 * ((left_out - left_out.mean()) ** 2).sum()) ** 0.5
        assert width(measure("relative_auc", of)) / 2 / Z == pytest.approx(error, rel=0.03)

    def test_mean_auc_agrees_with_the_bootstrap_over_patients(self) -> None:
        draws = np.random.default_rng(8)
        patients = draws.integers(0, 90, 240)
        truth = (draws.random((240, 4)) < 0.4).astype(np.int64)
        scores = truth + draws.normal(size=(90, 4))[patients] + draws.normal(size=(240, 4))
        logits, zeros = scores.astype(np.float32), np.zeros(240, dtype=np.float32)
        ids = np.array([f"image-{i}" for i in range(240)])
        of = Record("multilabel", ids, truth, logits, logits, zeros, zeros, names(patients))
        resampled = bootstrap(METRICS["mean_auc"], of, resamples=400)
        assert width(measure("mean_auc", of)) == pytest.approx(width(resampled), rel=0.15)


class TestComparison:
    def test_mcnemar_by_hand(self) -> None:
        """One image only the first gets right, six only the second: p = 2 (1 + 7) / 2^7."""
        labels = np.zeros(20, dtype=int)
        first, second = np.zeros(20, dtype=int), np.zeros(20, dtype=int)
        second[0], first[1:7] = 1, 1
        found = mcnemar(record(labels, first), record(labels, second))
        assert found.difference == pytest.approx(-5 / 20)
        assert found.p == pytest.approx(0.125)
        # Agresti and Min: 1.5 and 6.5 discordant pairs among 22.
        error = (8 - 25 / 22) ** 0.5 / 22
        assert (found.low, found.high) == pytest.approx((-5 / 22 - Z * error, -5 / 22 + Z * error))

    def test_mcnemar_on_the_approval_survey(self) -> None:
        """Agresti (Categorical Data Analysis, 10.1.1): 150 and 86 of 1600 changed their mind; 0.04, 0.021 to 0.059."""
        labels = np.zeros(1600, dtype=int)
        first = np.repeat([0, 0, 1, 1], [794, 150, 86, 570])
        second = np.repeat([0, 1, 0, 1], [794, 150, 86, 570])
        found = mcnemar(record(labels, first), record(labels, second))
        assert found.difference == pytest.approx(0.04)
        assert (found.low, found.high) == pytest.approx((0.021, 0.059), abs=5e-4)
        assert found.p is not None
        assert 1e-5 < found.p < 1e-4

    def test_clustered_mcnemar_is_obuchowskis(self) -> None:
        """Her statistic in its first form: both variances and the covariance around the common rate."""
        draws = np.random.default_rng(9)
        patients = draws.integers(0, 25, 150)
        one, two = draws.random(150) < 0.7, draws.random(150) < 0.55
        size, x, y = (np.bincount(patients, weights, 25) for weights in (None, one, two))
        common = (one.mean() + two.mean()) / 2
        scale = 25 / 24 / 150**2
        spread = scale * (
            ((x - size * common) ** 2).sum()
            + ((y - size * common) ** 2).sum()
            - 2 * ((x - size * common) * (y - size * common)).sum()
        )
        statistic = (one.mean() - two.mean()) ** 2 / spread
        labels, groups = np.zeros(150, dtype=int), names(patients)
        found = mcnemar(record(labels, ~one * 1, groups), record(labels, ~two * 1, groups))
        assert found.test == "mcnemar clustered"
        assert found.p == pytest.approx(stats.chi2.sf(statistic, 1))

    def test_equal_records_do_not_differ(self) -> None:
        of = noisy(patients=30)
        for name in ("accuracy", "auc", "balanced_accuracy"):
            found = compare(name, of, of, resamples=50)
            assert (found.difference, found.p) == (0.0, 1.0), name
            assert found.low is not None
            assert found.high is not None
            assert found.low <= 0 <= found.high

    @pytest.mark.parametrize("patients", [None, 60])
    def test_closed_comparisons_agree_with_the_paired_bootstrap(self, patients: int | None) -> None:
        first = noisy(240, seed=11, strength=3.0, patients=patients)
        jitter = np.random.default_rng(12).normal(scale=0.7, size=first.adversarial.shape).astype(np.float32)
        second = replace(first, adversarial=first.adversarial + jitter)
        for name in ("accuracy", "asr", "accuracy_on_clean_correct", "auc"):
            closed = compare(name, first, second)
            resampled = paired_bootstrap(METRICS[name], first, second, resamples=400)
            assert closed.difference == pytest.approx(resampled.difference)
            assert closed.low == pytest.approx(resampled.low, abs=0.02)
            assert closed.high == pytest.approx(resampled.high, abs=0.02)
            # A rate over a part of the images knows the patients of that part.
            assert closed.groups == measure(name, first).groups

    def test_rates_over_the_same_part_of_the_images_are_compared_image_by_image(self) -> None:
        # Ten of sixty images are wrong when clean; of the others, one attack leaves 20, the other 5 of these.
        base = record([0] * 60, [0] * 60)
        clean = base.clean[:, ::-1].copy()
        clean[:50] = base.clean[:50]
        weak, strong = (replace(record([0] * 60, ~hits(kept, 60) * 1), clean=clean) for kept in (20, 5))
        found = compare("asr", strong, weak)
        assert (found.difference, found.n, found.test) == (15 / 50, 50, "mcnemar exact")
        assert found.p == 2 * 0.5**15
        assert compare("accuracy_on_clean_correct", strong, weak).difference == -15 / 50
        # Another model is right on other images: nothing pairs, and the bootstrap remains.
        elsewhere = replace(weak, clean=base.clean)
        assert compare("asr", strong, elsewhere).test == "paired bootstrap"

    @pytest.mark.parametrize(("wins", "losses"), [(0, 0), (0, 7), (7, 0), (5, 5), (3, 9), (9, 3), (1, 0), (40, 60)])
    def test_the_sign_test_is_scipys(self, wins: int, losses: int) -> None:
        more, both = sign_test(wins, losses)
        if wins + losses == 0:
            assert (more, both) == (1.0, 1.0)
            return
        expected = stats.binomtest(wins, wins + losses, alternative="greater").pvalue
        assert more == pytest.approx(expected, rel=1e-12)
        assert both == pytest.approx(stats.binomtest(wins, wins + losses).pvalue, rel=1e-12)

    def test_the_bootstrap_repeats_itself(self) -> None:
        first, second = noisy(seed=1), replace(noisy(seed=1), adversarial=noisy(seed=2).adversarial)
        once, again, other = (compare("sensitivity", first, second, resamples=100, seed=seed) for seed in (0, 0, 1))
        assert once == again
        assert once != other

    def test_an_undefined_metric_is_not_compared(self) -> None:
        of = record([0, 0, 0], [0, 1, 0])
        found = compare("auc", of, of)
        assert (found.difference, found.p, found.reason) == (None, None, "only negative images, and an AUC needs both")

    def test_too_many_undefined_resamples_leave_no_interval(self) -> None:
        of = record([0] * 30 + [1], [0] * 30 + [1])
        assert "undefined in" in bootstrap(METRICS["balanced_accuracy"], of, resamples=100).note

    def test_a_vector_metric_is_refused(self) -> None:
        with pytest.raises(MedrobustError, match=r"'predicted_share' has an axis \(class\): compare a scalar metric"):
            compare("predicted_share", noisy(), noisy())

    def test_records_are_aligned_by_image(self) -> None:
        first = noisy(40)
        shuffled = np.random.default_rng(0).permutation(40)[:30]
        second = replace(
            first,
            ids=first.ids[shuffled],
            labels=None if first.labels is None else first.labels[shuffled],
            clean=first.clean[shuffled],
            adversarial=first.adversarial[shuffled],
            l2=first.l2[shuffled],
            linf=first.linf[shuffled],
        )
        left, right = align(first, second)
        assert left.ids.tolist() == right.ids.tolist() == [first.ids[i] for i in sorted(shuffled)]
        np.testing.assert_array_equal(left.adversarial, right.adversarial)

    def test_records_that_cannot_be_compared(self) -> None:
        of = noisy(10)
        with pytest.raises(MedrobustError, match="share no image"):
            align(of, replace(of, ids=np.array([f"other-{i}" for i in range(10)])))
        with pytest.raises(MedrobustError, match="different labels"):
            align(of, replace(of, labels=1 - np.asarray(of.labels)))
        with pytest.raises(MedrobustError, match="names an image twice"):
            align(of, replace(of, ids=np.array(["same"] * 10)))

    def test_holm_by_hand(self) -> None:
        """Smallest times 4, next times 3, and so on, never falling; what has no p value is no part of the family."""
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
        assert holm([0.01, None, 0.9]) == [pytest.approx(0.02), None, 0.9]
        assert holm([]) == []


class TestCombine:
    def test_over_seeds_is_a_t_interval(self) -> None:
        """0.80, 0.82, 0.84: standard deviation 0.02, t quantile 4.303, so 0.82 +- 0.0497."""
        values = [Value(v, v - 0.01, v + 0.01, 100) for v in (0.80, 0.82, 0.84)]
        found = over_seeds(values)
        assert found.scalar == pytest.approx(0.82)
        assert found.interval == pytest.approx((0.82 - 0.0497, 0.82 + 0.0497), abs=1e-4)
        assert found.note == "interval over 3 seeds"
        assert over_seeds([Value(0.9), Value(1.0)], bounds=METRICS["accuracy"].bounds).high == 1.0

    def test_one_seed_keeps_its_interval_and_says_so(self) -> None:
        found = over_seeds([Value(0.8, 0.7, 0.9, 50), undefined("no images")])
        assert (found.scalar, found.interval) == (0.8, (0.7, 0.9))
        assert found.note == "1 of 2 seeds are defined; interval over images: one seed"
        assert over_seeds([undefined("no images")]).reason == "no images"

    def test_mean_of_ratios_is_not_the_ratio_of_means(self) -> None:
        """Two models at 0.9 / 0.9 and 0.3 / 0.6: mean of ratios 0.75, ratio of means 0.8 (wetstein2020, Table 3)."""
        found = mean_of([Value(0.9 / 0.9, 0.9, 1.1, 10), Value(0.3 / 0.6, 0.4, 0.6, 10)])
        assert found.scalar == pytest.approx(0.75)
        assert found.interval == pytest.approx((0.65, 0.85))

    def test_pooled_seeds_count_each_image_once(self) -> None:
        """Equal seeds add no information: the interval is that of one seed, with Student's quantile."""
        of = noisy(100)
        both = measure("accuracy", pooled([of, of, of]))
        assert (both.n, both.groups) == (300, 100)
        alone = measure("accuracy", of)
        assert both.scalar == pytest.approx(alone.scalar)
        assert width(both) == pytest.approx(width(alone), rel=0.03)
        with pytest.raises(MedrobustError, match="different tasks or numbers of classes"):
            pooled([of, replace(of, clean=of.clean[:, :1])])


class TestWorstCase:
    def test_an_image_is_robust_only_under_every_attack(self) -> None:
        labels = [0, 0, 0, 0]
        attacks = [record(labels, decided) for decided in ([0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0])]
        worst = worst_case(attacks)
        assert [measure("accuracy", attack).scalar for attack in attacks] == [0.75, 0.75, 1.0]
        assert measure("accuracy", worst).scalar == 0.5
        assert worst.adversarial.argmax(axis=1).tolist() == [0, 1, 1, 0]

    @settings(max_examples=40, deadline=None)
    @given(st.integers(1, 4), st.integers(1, 30), st.integers(0, 10_000))
    def test_it_is_the_intersection_and_at_most_the_smallest(self, attacks: int, n: int, seed: int) -> None:
        draws = np.random.default_rng(seed)
        base = noisy(n, seed)
        # Logits in whole numbers make ties between classes and between attacks.
        records = [replace(base, adversarial=draws.integers(0, 3, (n, 2)).astype(np.float32)) for _ in range(attacks)]
        every = np.all([one.adversarial.argmax(axis=1) == one.labels for one in records], axis=0)
        worst = measure("accuracy", worst_case(records)).scalar
        assert worst == pytest.approx(every.mean())
        assert worst is not None
        assert all(worst <= (measure("accuracy", one).scalar or 0.0) for one in records)

    def test_it_refuses_other_images_and_other_targets(self) -> None:
        of = noisy(10)
        with pytest.raises(MedrobustError, match="one target"):
            worst_case([of, replace(of, clean=of.clean + 1)])
        with pytest.raises(MedrobustError, match="different images"):
            worst_case([of, noisy(12)])
        with pytest.raises(MedrobustError, match="needs labels"):
            worst_case([replace(of, labels=None)])
