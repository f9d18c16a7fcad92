"""Metrics against worked examples, against scikit-learn, and against the figures that the papers print."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special
from sklearn import metrics as sklearn_metrics

from medrobust.errors import MedrobustError
from medrobust.results.metrics import METRICS, measure, metric, radii
from medrobust.results.record import Record

Logits = NDArray[np.float32]


def record(labels: object, clean: object, adversarial: object, **extra: object) -> Record:
    """A multi-class record from labels and logits (or decisions, turned into logits)."""

    def logits(given: object) -> Logits:
        array = np.asarray(given)
        return np.eye(max(2, int(array.max()) + 1), dtype=np.float32)[array] if array.ndim == 1 else array.astype("f4")

    n = len(np.asarray(adversarial))
    fields: dict[str, object] = {
        "task": "multiclass",
        "ids": np.array([f"image-{i}" for i in range(n)]),
        "labels": None if labels is None else np.asarray(labels, dtype=np.int64),
        "clean": logits(clean),
        "adversarial": logits(adversarial),
        "l2": np.full(n, 0.5, dtype=np.float32),
        "linf": np.full(n, 0.25, dtype=np.float32),
    }
    return Record(**{**fields, **extra})  # type: ignore[arg-type]


def scalar(name: str, of: Record) -> float:
    value = measure(name, of).scalar
    assert value is not None, measure(name, of).reason
    return value


# ma2020's dermoscopy test set as its printed percentages determine it: 398 negatives of which 385
# are correct when clean, 135 positives of which 82; each attack leaves so many negatives and positives correct.
MA2020 = {
    "fgsm": (135, 5, 29.98, 20.58),
    "bim": (1, 0, 0.21, 0.13),
    "pgd": (1, 1, 0.43, 0.74),
    "cw": (1, 0, 0.21, 0.13),
}


def ma2020(negatives: int, positives: int) -> Record:
    labels = np.repeat([0, 1], [398, 135])
    clean = np.concatenate([np.arange(398) >= 385, np.arange(135) < 82]).astype(int)
    attacked = np.concatenate([np.arange(398) >= negatives, np.arange(135) < positives]).astype(int)
    return record(labels, clean, attacked)


def test_the_clean_row_of_ma2020_is_accuracy_and_balanced_accuracy_of_all_images() -> None:
    clean = ma2020(385, 82)
    assert round(100 * scalar("accuracy", clean), 2) == 87.62
    assert round(100 * scalar("balanced_accuracy", clean), 2) == 78.74


@pytest.mark.parametrize("attack", MA2020)
def test_the_adversarial_rows_of_ma2020_count_images_correct_when_clean(attack: str) -> None:
    negatives, positives, accuracy, area = MA2020[attack]
    attacked = ma2020(negatives, positives)
    assert measure("accuracy_on_clean_correct", attacked).n == 467
    assert round(100 * scalar("accuracy_on_clean_correct", attacked), 2) == accuracy
    assert round(100 * scalar("balanced_accuracy_on_clean_correct", attacked), 2) == area
    assert scalar("asr", attacked) == pytest.approx(1 - scalar("accuracy_on_clean_correct", attacked))


WORKED = record(labels=[0, 0, 0, 1, 1, 2], clean=[0, 0, 1, 1, 2, 2], adversarial=[0, 1, 1, 2, 0, 2], target=2)


@pytest.mark.parametrize(
    ("name", "value", "n"),
    [
        ("accuracy", 2 / 6, 6),
        ("clean_accuracy", 4 / 6, 6),
        ("accuracy_on_clean_correct", 2 / 4, 4),
        ("balanced_accuracy", (1 / 3 + 0 + 1) / 3, 6),
        ("balanced_accuracy_on_clean_correct", (1 / 2 + 0 + 1) / 3, 4),
        ("asr", 2 / 4, 4),
        ("asr_all", 2 / 6, 6),
        ("fooling_rate", 3 / 6, 6),
        ("targeted_success", 2 / 6, 6),
        ("targeted_baseline", 2 / 6, 6),
        ("mean_l2", 0.5, 6),
        ("mean_linf", 0.25, 6),
    ],
)
def test_worked_example(name: str, value: float, n: int) -> None:
    found = measure(name, WORKED)
    assert found.scalar == pytest.approx(value)
    assert found.n == n
    assert found.interval is not None
    assert found.interval[0] <= value <= found.interval[1]


def test_confusion_matrices_are_normalised_by_row() -> None:
    true_rows = measure("confusion_matrix", WORKED).value
    np.testing.assert_allclose(true_rows, [[1 / 3, 2 / 3, 0], [1 / 2, 0, 1 / 2], [0, 0, 1]])
    clean_rows = measure("confusion_matrix_by_prediction", WORKED).value
    np.testing.assert_allclose(clean_rows, [[1 / 2, 1 / 2, 0], [0, 1 / 2, 1 / 2], [1 / 2, 0, 1 / 2]])
    np.testing.assert_allclose(measure("predicted_share", WORKED).value, [2 / 6, 2 / 6, 2 / 6])


def test_the_row_of_a_class_without_images_is_undefined() -> None:
    found = measure("confusion_matrix", record([0, 0, 2], [0, 0, 2], [0, 1, 2]))
    assert found.at(1, 0).scalar is None
    assert found.at(1, 0).reason == "no images of class 1"
    assert found.at(0, 1).scalar == 0.5
    assert found.at(0, 1).n == 2


def test_sensitivity_and_specificity_take_class_1_as_positive() -> None:
    screening = record([1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 0, 0, 1])
    assert scalar("sensitivity", screening) == 3 / 4
    assert scalar("specificity", screening) == 2 / 3
    np.testing.assert_allclose(measure("sensitivity_per_class", screening).value, [2 / 3, 3 / 4])
    np.testing.assert_allclose(measure("specificity_per_class", WORKED).value, [2 / 3, 1 / 2, 4 / 5])
    assert measure("sensitivity", WORKED).reason == "3 classes: see sensitivity_per_class"


def test_confidence_bins() -> None:
    """Bins are closed below, the last above too; the three-class image under 0.5 has none."""
    sure = np.array([0.5, 0.52, 0.55, 0.98, 0.999, 0.4])
    clean = np.log(np.stack([sure, (1 - sure) / 2, (1 - sure) / 2], axis=1) + 1e-30)
    found = measure("asr_by_confidence", record(np.zeros(6), clean, [0, 1, 1, 0, 1, 2]))
    assert found.at(0).scalar == 1 / 2
    assert found.at(1).scalar == 1.0
    assert found.at(9).scalar == 1 / 2
    assert found.counts is not None
    assert found.counts.tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert found.at(5).scalar is None
    assert found.at(5).reason == "no image correct when clean has a confidence in [0.75, 0.80]"
    assert found.note == "1 of 6 images with confidence below 0.5 left out"


def test_an_undecided_image_is_in_the_lowest_bin_and_a_certain_one_in_the_highest() -> None:
    found = measure("asr_by_confidence", record([0, 0], [[0.0, 0.0], [200.0, 0.0]], [0, 1]))
    assert found.counts is not None
    assert found.counts.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert found.note == ""


def noisy(classes: int, n: int = 200, seed: int = 0) -> Record:
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, classes, n)
    signal = np.eye(classes)[labels]
    # Steps of 1/8 are exact in float32: ties stay ties whichever way they are computed.
    logits = [np.round(8 * (draws.normal(size=(n, classes)) + strength * signal)) / 8 for strength in (2.0, 0.5)]
    return record(labels, logits[0], logits[1])


@pytest.mark.parametrize("classes", [2, 4])
def test_parity_with_scikit_learn(classes: int) -> None:
    attacked = noisy(classes)
    truth, decided = attacked.labels, attacked.adversarial.argmax(axis=1)
    assert scalar("accuracy", attacked) == pytest.approx(sklearn_metrics.accuracy_score(truth, decided))
    expected = sklearn_metrics.balanced_accuracy_score(truth, decided)
    assert scalar("balanced_accuracy", attacked) == pytest.approx(expected)
    expected = sklearn_metrics.confusion_matrix(truth, decided, normalize="true")
    np.testing.assert_allclose(measure("confusion_matrix", attacked).value, expected)
    expected = sklearn_metrics.recall_score(truth, decided, average=None)
    np.testing.assert_allclose(measure("sensitivity_per_class", attacked).value, expected)
    if classes == 2:
        expected = sklearn_metrics.roc_auc_score(truth, attacked.adversarial[:, 1] - attacked.adversarial[:, 0])
        for name in ("auc", "mean_auc", "auc_ovr"):
            assert scalar(name, attacked) == pytest.approx(expected)
    else:
        probabilities = special.softmax(attacked.adversarial.astype(np.float64), axis=1)
        expected = sklearn_metrics.roc_auc_score(truth, probabilities, multi_class="ovr")
        assert scalar("auc_ovr", attacked) == pytest.approx(expected, abs=1e-4)


def multilabel(n: int = 300, labels: int = 5, seed: int = 1) -> Record:
    draws = np.random.default_rng(seed)
    truth = (draws.random((n, labels)) < 0.3).astype(np.int64)
    clean, attacked = ((draws.normal(size=(n, labels)) + k * (truth - 0.5)).astype(np.float32) for k in (3.0, 1.0))
    return record(truth, clean, attacked, task="multilabel")


def test_multilabel_parity_with_scikit_learn() -> None:
    attacked = multilabel()
    truth, decided = attacked.labels, (attacked.adversarial > 0).astype(int)
    assert scalar("accuracy", attacked) == pytest.approx(sklearn_metrics.accuracy_score(truth, decided))
    expected = 1 - sklearn_metrics.hamming_loss(truth, decided)
    assert scalar("label_accuracy", attacked) == pytest.approx(expected)
    expected = sklearn_metrics.roc_auc_score(truth, attacked.adversarial, average="macro")
    assert scalar("mean_auc", attacked) == pytest.approx(expected)
    relative = expected / sklearn_metrics.roc_auc_score(truth, attacked.clean, average="macro")
    assert scalar("relative_auc", attacked) == pytest.approx(relative)
    np.testing.assert_allclose(measure("predicted_share", attacked).value, decided.mean(axis=0))


def test_mean_auc_leaves_out_labels_of_one_class_and_says_so() -> None:
    attacked = multilabel()
    assert attacked.labels is not None
    truth = attacked.labels.copy()
    truth[:, 2] = 0
    found = measure("mean_auc", replace(attacked, labels=truth))
    kept = [0, 1, 3, 4]
    expected = sklearn_metrics.roc_auc_score(truth[:, kept], attacked.adversarial[:, kept], average="macro")
    assert found.scalar == pytest.approx(expected)
    assert found.note == "4 of 5 labels have both classes (label 2: only negative images, and an AUC needs both)"


@pytest.mark.parametrize(
    ("name", "of", "reason"),
    [
        ("auc", record([1, 1], [1, 1], [0, 1]), "only positive images, and an AUC needs both"),
        ("auc", WORKED, "3 classes: see auc_ovr"),
        ("mean_auc", WORKED, "3 classes: see auc_ovr"),
        ("mean_auc", record([1, 1], [1, 1], [0, 1]), "only positive images, and an AUC needs both"),
        ("auc", multilabel(), "5 labels: see mean_auc"),
        ("auc_ovr", record([0, 0, 2], [0, 0, 2], [0, 1, 2]), "no images, or all, are of class 1"),
        ("confusion_matrix", multilabel(), "not defined for multilabel tasks"),
        ("label_accuracy", WORKED, "not defined for multiclass tasks"),
        ("balanced_accuracy", record([0, 0], [0, 1], [0, 1]), "no images of class 1"),
        ("asr", record([0, 0], [1, 1], [1, 1]), "no image is classified correctly when clean"),
        ("accuracy", record(None, [0, 1], [0, 1]), "the images have no labels"),
        ("targeted_success", record([0, 1], [0, 1], [0, 1]), "the attack was not targeted"),
        ("accuracy", record([0], [[0.0, 1.0]], [[np.nan, 1.0]]), "logits that are not finite"),
        ("accuracy", replace(WORKED, ids=WORKED.ids[:0]), "no images"),
    ],
)
def test_an_undefined_number_says_why(name: str, of: Record, reason: str) -> None:
    found = measure(name, of)
    assert found.scalar is None
    assert found.interval is None
    assert found.reason == reason


def test_metrics_that_need_no_labels_work_without() -> None:
    norms = {"l1": np.ones(4, np.float32), "l0": np.ones(4, np.float32)}
    natural = record(
        None, [0, 1, 1, 2], [2, 1, 2, 2], target=2, norm="l2", clean_scores=np.zeros(4), scores=np.ones(4), **norms
    )
    for name, entry in METRICS.items():
        assert measure(name, natural).defined is not entry.needs_labels, name


def test_a_single_logit_is_a_binary_model() -> None:
    """Class 1 where the logit is positive, as a sigmoid at 0.5."""
    two = noisy(2)
    one = replace(two, clean=np.diff(two.clean, axis=1), adversarial=np.diff(two.adversarial, axis=1))
    for name, entry in METRICS.items():
        if two.target is not None or entry(two).defined:
            np.testing.assert_allclose(entry(one).value, entry(two).value, err_msg=name)  # type: ignore[arg-type]


def test_accuracy_within_is_the_curve_of_one_search() -> None:
    """Images broken at l2 sizes 0.05 and 0.5, one never, one wrong when clean."""
    found = record([0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 0, 1])
    found = replace(found, l2=np.array([0.05, 0.5, 9.0, 0.0], np.float32), norm="l2")
    values = np.asarray(measure("accuracy_within", found).value)
    at = radii("l2")
    assert at[0] == 0.01
    assert at[4] == pytest.approx(0.02)
    assert values.tolist() == [0.75 if r < 0.05 else 0.5 if r < 0.5 else 0.25 for r in at]
    reason = measure("accuracy_within", replace(found, norm="unbounded")).reason
    assert "such as l2:min" in reason
    assert not measure("accuracy_within", replace(found, norm="l1")).defined  # nobody measured it


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(MedrobustError, match=r"no metric is called 'fooling'; did you mean 'fooling_rate'\?"):
        metric("fooling")


def test_every_metric_is_documented_and_its_axis_is_true() -> None:
    for name, entry in METRICS.items():
        assert entry.name == name
        assert len(entry.description) > 20
        of = multilabel() if "multiclass" not in entry.tasks else replace(noisy(2), target=1)
        if name == "detection_auc_at_success":
            of = replace(of, adversarial=-of.clean)
        of = replace(of, l1=of.l2, l0=of.linf, norm="l2")
        value = entry(replace(of, clean_scores=np.zeros(len(of)), scores=np.ones(len(of))))
        assert value.defined, f"{name}: {value.reason}"
        assert np.ndim(value.value) == len(entry.axis), name  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 4), st.integers(1, 40), st.integers(0, 10_000))
def test_laws(classes: int, n: int, seed: int) -> None:
    attacked = noisy(classes, n, seed)
    unharmed = replace(attacked, adversarial=attacked.clean)
    assert scalar("accuracy", unharmed) == scalar("clean_accuracy", unharmed) == scalar("clean_accuracy", attacked)
    assert scalar("fooling_rate", unharmed) == 0
    assert scalar("asr_all", unharmed) == 0
    assert scalar("asr_all", attacked) <= scalar("fooling_rate", attacked)
    assert scalar("accuracy", attacked) >= scalar("clean_accuracy", attacked) - scalar("asr_all", attacked) - 1e-12
    for entry in METRICS.values():
        value = entry(attacked)
        parts = [value] if not entry.axis or not value.defined else [part for _, part in value.entries()]
        for part in parts:
            assert (part.scalar is None) == bool(part.reason)
            if part.scalar is not None:
                assert np.isfinite(part.scalar)
            if part.interval is not None:
                assert part.interval[0] - 1e-12 <= part.scalar <= part.interval[1] + 1e-12  # type: ignore[operator]
