"""Rules for detectors, on features that are drawn: clean ones, and adversarial ones that lie elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from ..contracts import Detector, Features, Learning, State
from .rules import Broken, LeftOut, Rule, rule

WIDTH: Final = 12
"""Features of a layer."""
CLASSES: Final = 2
LEAST: Final = 0.7
"""Least area under the ROC curve on features that are easily told apart."""


@dataclass
class DetectorCase:
    """A detector, with features on which it learns and others on which it is scored."""

    detector: Detector

    def features(self, count: int, seed: int, *, shift: float = 0.0) -> Features:
        """Features of so many images, two clusters; `shift` moves them in a direction that no class has."""
        rng = np.random.default_rng(seed)
        predicted = np.arange(count) % CLASSES
        layers = {}
        for layer in self.detector.watches:
            values = rng.normal(size=(count, WIDTH))
            values[:, 0] += np.where(predicted == 0, -3.0, 3.0)
            values[:, 1:] += shift * (1 + 0.2 * rng.normal(size=(count, 1)))
            layers[layer] = values.astype(np.float32)
        return Features(layers, predicted.astype(np.int64))

    def learning(self, seed: int = 0) -> Learning:
        """What it learns from."""
        train = self.features(200, 1)
        return Learning(
            clean=self.features(80, 2),
            adversarial=self.features(80, 2, shift=4.0),
            train=lambda: (train, train.predicted),
            classes=("a", "b"),
            seed=seed,
            judged=self.features(80, 3) if self.detector.leaks else None,
        )

    def fitted(self) -> State:
        """What it has learned."""
        return self.detector.fit(self.learning())


def _scores(case: DetectorCase, state: State, seen: Features) -> NDArray[np.float64]:
    found = np.asarray(case.detector.score(state, seen))
    if found.shape != (len(seen),):
        raise Broken(f"`score` gives shape {found.shape} for {len(seen)} images")
    if found.dtype.kind not in "biuf" or not np.isfinite(found).all():
        raise Broken("`score` gives numbers that are not finite")
    return found


@rule("state")
def state(case: DetectorCase) -> None:
    """What it learns is arrays of numbers by name, which a store can keep."""
    found = case.fitted()
    if not isinstance(found, dict) or not found:
        raise Broken(f"`fit` returns {type(found).__name__}, not a dict of arrays")
    for name, value in found.items():
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
            raise Broken(f"`{name}` of what it learned is {type(value).__name__}, not an array of numbers")


@rule("scores")
def scores(case: DetectorCase) -> None:
    """It gives each image a finite score."""
    _scores(case, case.fitted(), case.features(80, 3))


@rule("adversarial scores more")
def larger(case: DetectorCase) -> None:
    """Adversarial images score higher than clean ones."""
    learned = case.fitted()
    clean, odd = (_scores(case, learned, case.features(80, 3, shift=shift)) for shift in (0.0, 4.0))
    area = float((odd[:, None] > clean[None]).mean() + 0.5 * (odd[:, None] == clean[None]).mean())
    if area < 0.5:
        raise Broken(f"clean images score higher (area under the curve {area:.2f}); turn the sign of the score round")
    if area < LEAST:
        raise Broken(f"does not tell features apart that are far from each other (area under the curve {area:.2f})")


@rule("seed")
def seed(case: DetectorCase) -> None:
    """The same seed gives the same scores."""
    seen = case.features(80, 3)
    first, again = (_scores(case, case.fitted(), seen) for _ in range(2))
    if not np.array_equal(first, again):
        raise Broken("two fits with one seed give other scores; draw from `learning.seed`")


@rule("features untouched")
def untouched(case: DetectorCase) -> None:
    """It does not change the features that it is given."""
    learning, seen = case.learning(), case.features(80, 3)
    given = {f"clean {k}": v for k, v in learning.clean.layers.items()}
    given |= {f"adversarial {k}": v for k, v in learning.adversarial.layers.items()}
    given |= {f"scored {k}": v for k, v in seen.layers.items()}
    before = {name: values.copy() for name, values in given.items()}
    case.detector.score(case.detector.fit(learning), seen)
    for name, values in before.items():
        if not np.array_equal(values, given[name]):
            raise Broken(f"has changed the features '{name}'; work on a copy")


@rule("each image alone")
def alone(case: DetectorCase) -> None:
    """The score of an image does not depend on the others."""
    if case.detector.leaks:
        raise LeftOut(f"it declares a leak: {case.detector.leaks}")
    learned, seen = case.fitted(), case.features(80, 3)
    together = _scores(case, learned, seen)
    some = np.array([5, 2, 70])
    apart = _scores(case, learned, seen[some])
    if not np.allclose(together[some], apart, rtol=1e-5, atol=1e-7):
        told = f"scores of three images are {apart.round(4).tolist()}"
        raise Broken(f"{told} alone, and {together[some].round(4).tolist()} among 80")


@rule("differentiable")
def differentiable(case: DetectorCase) -> None:
    """The score that attacks differentiate is the score, and has a gradient."""
    learned, seen = case.fitted(), case.features(20, 3, shift=1.0)
    function = case.detector.differentiable(learned)
    if function is None:
        raise LeftOut("it has no score that can be differentiated")
    layers = {name: torch.as_tensor(values).double().requires_grad_(True) for name, values in seen.layers.items()}
    logits = torch.nn.functional.one_hot(torch.as_tensor(seen.predicted), CLASSES).double() * 8 - 4
    found = function(layers, logits)
    expected = _scores(case, learned, seen)
    if not np.allclose(found.detach().numpy(), expected, rtol=1e-3, atol=1e-5):
        raise Broken(f"`differentiable` gives {float(found[0]):.4g} for an image that `score` gives {expected[0]:.4g}")
    gradients = torch.autograd.grad(found.sum(), list(layers.values()), allow_unused=True)
    if not any(each is not None and bool(each.any()) for each in gradients):
        raise Broken("the gradient of `differentiable` is zero at every feature")


RULES: tuple[Rule, ...] = (state, scores, larger, seed, untouched, alone, differentiable)
