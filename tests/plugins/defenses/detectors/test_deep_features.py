"""Deep features and quantised ones: what is kept gives the numbers of scikit-learn's estimators."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC

from medrobust import Detector, Features, Learning, PluginError
from medrobust_defenses import DeepFeatures, QuantisedFeatures

pytestmark = pytest.mark.numerical

LAYER = "penultimate"
Seen = Callable[..., Features]
Known = Callable[..., Learning]


def rows(given: Learning) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    values = np.concatenate([given.clean.layers[LAYER], given.adversarial.layers[LAYER]]).astype(np.float64)
    return values, np.repeat([0, 1], [len(given.clean), len(given.adversarial)])


def test_a_forest_kept_as_arrays_is_scikit_learns(seen: Seen, learning: Known) -> None:
    given, some = learning(adversarial=seen(60, 1, shift=1.0)), seen(90, 9, shift=0.5)
    values, labels = rows(given)
    low, span = values.min(axis=0), np.ptp(values, axis=0)
    theirs = RandomForestClassifier(30, random_state=0).fit((values - low) / span, labels)
    expected = theirs.predict_proba((some.layers[LAYER].astype(np.float64) - low) / span)[:, 1]
    detector = DeepFeatures()
    np.testing.assert_allclose(detector.score(detector.fit(given), some), expected, rtol=1e-12)
    assert len(set(expected)) > 10


@pytest.mark.parametrize("quantised", [False, True])
def test_a_kernel_machine_kept_as_arrays_is_scikit_learns(seen: Seen, learning: Known, quantised: bool) -> None:
    given, some = learning(), seen(50, 9, shift=1.0)
    values, labels = rows(given)
    detector: Detector = QuantisedFeatures() if quantised else DeepFeatures(classifier="svm")

    def prepared(of: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return (
            (of > values.mean(axis=0)).astype(float)
            if quantised
            else (of - values.min(axis=0)) / np.ptp(values, axis=0)
        )

    theirs = SVC(gamma=2.8).fit(prepared(values), labels)
    expected = theirs.decision_function(prepared(some.layers[LAYER].astype(np.float64)))
    np.testing.assert_allclose(detector.score(detector.fit(given), some), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("detector", [DeepFeatures(), DeepFeatures(classifier="svm"), QuantisedFeatures()])
def test_equal_images_give_equal_detectors(detector: Detector, learning: Known) -> None:
    first, second = (detector.fit(learning()) for _ in range(2))
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("detector", [DeepFeatures(), QuantisedFeatures()])
def test_one_kind_of_images_is_refused(detector: Detector, seen: Seen, learning: Known) -> None:
    with pytest.raises(
        PluginError, match=f"{detector.name}: there is no clean image to learn from; it needs both kinds"
    ):
        detector.fit(learning(clean=seen(0, 1)))
