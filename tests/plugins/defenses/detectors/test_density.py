"""Kernel density: scikit-learn's numbers, honest by default, with a leak that shows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.neighbors import KernelDensity as SklearnDensity

from medrobust import Features, Learning, PluginError
from medrobust_defenses import KernelDensity
from medrobust_defenses.detectors.scaling import log_odds

pytestmark = pytest.mark.numerical

LAYER = "penultimate"
Seen = Callable[..., Features]
Known = Callable[..., Learning]


@pytest.mark.parametrize("bandwidth", [0.5, 1.0, 3.0])
def test_densities_are_those_of_scikit_learn(seen: Seen, learning: Known, bandwidth: float) -> None:
    given, detector = learning(), KernelDensity(bandwidth=bandwidth)
    train, labels = given.train()
    state, some = detector.fit(given), seen(40, 3, shift=2.0)
    constant = 6 * math.log(bandwidth * math.sqrt(2 * math.pi))
    for index in (0, 1):
        theirs = SklearnDensity(bandwidth=bandwidth).fit(train.layers[LAYER][labels == index])
        mine = some[some.predicted == index]
        expected = theirs.score_samples(mine.layers[LAYER]) + constant
        values = (expected - state["low"]) / state["span"] * state["weights"] + state["bias"]
        np.testing.assert_allclose(detector.score(state, mine), values, rtol=1e-5)


def test_rare_images_score_higher(seen: Seen, learning: Known) -> None:
    detector = KernelDensity()
    state = detector.fit(learning())
    clean, adversarial = (detector.score(state, seen(200, 5, shift=shift)) for shift in (0.0, 4.0))
    assert (adversarial[:, None] > clean[None, :]).mean() > 0.95


def test_the_density_of_the_images_that_are_scored_gives_them_away(seen: Seen, learning: Known) -> None:
    """Of adversarial images that are drawn like clean ones, an honest detector knows nothing."""
    clean = seen(100, 7)
    given = learning(clean=clean, adversarial=seen(100, 8), judged=clean)
    areas = []
    for source in ("train", "self"):
        detector = KernelDensity(density_of=source)  # type: ignore[arg-type]
        state = detector.fit(given)
        scores = [detector.score(state, each) for each in (clean, given.adversarial)]
        areas.append((scores[1][:, None] > scores[0][None, :]).mean())
    assert abs(areas[0] - 0.5) < 0.1
    assert areas[1] > 0.7
    assert KernelDensity().leaks == ""
    assert "density_of = 'self'" in KernelDensity(density_of="self").leaks


def test_the_gradient_is_that_of_the_score(seen: Seen, learning: Known) -> None:
    detector, some = KernelDensity(), seen(12, 4)
    state = detector.fit(learning())
    logits = torch.nn.functional.one_hot(torch.as_tensor(some.predicted), 2).float()
    points = torch.as_tensor(some.layers[LAYER]).double().requires_grad_(True)
    function = detector.differentiable(state)
    assert function is not None
    scores = function({LAYER: points}, logits.double())
    np.testing.assert_allclose(scores.detach().numpy(), detector.score(state, some), rtol=1e-6)
    (gradient,) = torch.autograd.grad(scores.sum(), points)
    moved = (points + 1e-3 * gradient.sign()).detach().numpy().astype(np.float32)
    assert (detector.score(state, replace(some, layers={LAYER: moved})) > detector.score(state, some)).all()


def test_a_class_without_training_images_is_named(seen: Seen, learning: Known) -> None:
    train = seen(40, 2)
    with pytest.raises(PluginError, match="no training image of class PNEUMONIA, which the model predicts"):
        KernelDensity().fit(learning(train=lambda: (train, np.zeros(40, dtype=np.int64))))


def test_one_kind_of_images_is_refused(seen: Seen, learning: Known) -> None:
    with pytest.raises(PluginError, match="kd: there is no adversarial image to learn from; it needs both kinds"):
        KernelDensity().fit(learning(adversarial=seen(0, 1)))
    with pytest.raises(PluginError, match="kd: cross-validation needs two images of each kind, there is 1"):
        KernelDensity().fit(learning(clean=seen(1, 0)))


def test_what_was_learned_is_a_scaled_logistic_regression(learning: Known) -> None:
    state = KernelDensity().fit(learning())
    low, high = state["low"], state["low"] + state["span"]
    assert log_odds(state, np.array([low])) > 0 > log_odds(state, np.array([high]))
