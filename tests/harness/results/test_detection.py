"""Metrics of detectors: of the images that were scored and are correct when clean, by hand and by scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from medrobust.api import Record, measure
from medrobust.results.metrics.accuracy import NONE_CORRECT
from medrobust.results.metrics.detection import scores_auc, threshold

pytestmark = pytest.mark.numerical

NONE = np.nan


def record(correct: str, broken: str, clean: list[float], adversarial: list[float]) -> Record:
    """A record of class 0: which images are correct when clean ("1"), and which the attack breaks."""

    def logits(right: str) -> np.ndarray:  # type: ignore[type-arg]
        return np.array([[1, 0] if each == "1" else [0, 1] for each in right], dtype=np.float32)

    n = len(correct)
    unbroken = "".join("0" if b == "1" else c for c, b in zip(correct, broken, strict=True))
    return Record(
        "multiclass",
        np.array([f"image-{i}" for i in range(n)]),
        np.zeros(n, dtype=np.int64),
        logits(correct),
        logits(unbroken),
        np.zeros(n, dtype=np.float32),
        np.zeros(n, dtype=np.float32),
        clean_scores=np.array(clean),
        scores=np.array(adversarial),
    )


# Of six images the fifth was learned from and the sixth is wrong when clean.
WORKED = record("111110", "110000", [0.1, 0.4, 0.2, 0.3, NONE, 9.0], [0.5, 0.35, 0.6, 0.7, NONE, 0.0])


def test_the_area_counts_images_that_are_scored_and_correct_when_clean() -> None:
    expected = sklearn_metrics.roc_auc_score([0] * 4 + [1] * 4, [0.1, 0.4, 0.2, 0.3, 0.5, 0.35, 0.6, 0.7])
    found = measure("detection_auc", WORKED)
    assert found.scalar == pytest.approx(expected) == pytest.approx(15 / 16)
    assert found.n == 8


def test_false_alarms_are_counted_where_nearly_all_adversarial_images_are_found() -> None:
    """All four must be found, so the threshold is 0.35: of the clean images, 0.4 lies above it."""
    assert measure("false_alarms", WORKED).scalar == 1 / 4
    clean, adversarial = list(np.linspace(0, 1, 100)), [0.0] * 5 + [0.5] * 95
    many = record("1" * 100, "0" * 100, clean, adversarial)
    # Five of a hundred may be missed.
    assert measure("false_alarms", many).scalar == np.mean(np.array(clean) >= 0.5)


def test_success_counts_as_undetected_below_the_alarm() -> None:
    """The alarm is above the highest clean score, 0.4: of the two broken images, 0.35 raises none."""
    assert measure("undetected_success", WORKED).scalar == 1 / 4
    assert measure("scored_asr", WORKED).scalar == 2 / 4


def test_the_area_at_success_needs_success() -> None:
    found = measure("detection_auc_at_success", WORKED)
    assert found.reason == "the attack succeeds on 50.0% of the images, less than 90%"
    strong = record("1111", "1111", [0.1, 0.4, 0.2, 0.3], [0.5, 0.35, 0.6, 0.7])
    assert measure("detection_auc_at_success", strong).scalar == measure("detection_auc", strong).scalar


def test_numbers_beyond_the_scored_images_are_not_looked_at() -> None:
    """An attack that knows the detector leaves the others without logits."""
    adversarial = WORKED.adversarial.copy()
    adversarial[4:] = np.nan
    without = replace(WORKED, adversarial=adversarial, scores=np.where(np.arange(6) == 5, np.nan, WORKED.scores))
    assert measure("detection_auc", without).scalar == measure("detection_auc", WORKED).scalar
    assert measure("accuracy", without).reason == "logits that are not finite"


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (replace(WORKED, clean_scores=None, scores=None), "no detector has scored these images"),
        (replace(WORKED, scores=np.full(6, np.nan)), "no images"),
        (replace(WORKED, full=False), "needs every image at full strength"),
        (record("00", "00", [0.1, 0.2], [0.3, 0.4]), NONE_CORRECT),
    ],
)
def test_an_undefined_number_says_why(of: Record, reason: str) -> None:
    for name in ("detection_auc", "false_alarms", "undetected_success", "detection_auc_at_success"):
        found = measure(name, of)
        assert found.scalar is None
        assert found.reason.startswith(reason), name


def test_patients_are_the_units_of_the_interval() -> None:
    draws = np.random.default_rng(0)
    clean, adversarial = draws.normal(size=100), draws.normal(size=100) + 1
    alone = record("1" * 100, "1" * 100, list(clean), list(adversarial))
    grouped = replace(alone, groups=np.array([f"patient-{i // 10}" for i in range(100)]))
    assert measure("detection_auc", grouped).groups == 10
    assert measure("detection_auc", grouped).interval != measure("detection_auc", alone).interval


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 3.0), (0.95, 4.0), (1.0, 4.0)])
def test_a_threshold_is_one_of_the_scores(share: float, expected: float) -> None:
    assert threshold(np.array([3.0, 1.0, 4.0, 2.0]), share) == expected


def test_the_auc_of_scores_ranks_adversarial_above_clean_images() -> None:
    draws = np.random.default_rng(2)
    clean, adversarial = draws.normal(size=80), draws.normal(size=80) + 1
    expected = sklearn_metrics.roc_auc_score(np.repeat([0, 1], 80), np.concatenate([clean, adversarial]))
    assert scores_auc(clean, adversarial).scalar == pytest.approx(expected)
    assert scores_auc(clean, np.array([np.nan])).reason == "scores that are not finite"


def test_pairing_of_clean_and_adversarial_scores_narrows_the_interval_of_detection_auc() -> None:
    draws = np.random.default_rng(3)
    clean = draws.normal(size=200)
    adversarial = clean + 0.3 + 0.1 * draws.normal(size=200)
    ids = np.array([f"image-{i}" for i in range(200)])
    apart, paired = scores_auc(clean, adversarial), scores_auc(clean, adversarial, ids, ids)
    assert apart.interval is not None
    assert paired.interval is not None
    assert paired.interval[1] - paired.interval[0] < 0.5 * (apart.interval[1] - apart.interval[0])
