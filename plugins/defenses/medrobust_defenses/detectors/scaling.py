"""What the detectors of ma2020 share: features scaled to [0, 1] by the images a detector learns from, and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medrobust import Features, Learning, PluginError, State

Matrix = NDArray[np.float64]
LEARNED = ("low", "span", "weights", "bias")
"""The arrays that `logistic` gives."""


@dataclass(frozen=True)
class MinMax:
    """Scales every column to [0, 1]; one that is constant becomes 0."""

    low: Matrix
    span: Matrix

    @classmethod
    def of(cls, values: Matrix) -> MinMax:
        """The scale of some rows."""
        low, high = values.min(axis=0), values.max(axis=0)
        return cls(low, np.where(high > low, high - low, 1.0))

    @classmethod
    def from_state(cls, state: State) -> MinMax:
        """As it was kept."""
        return cls(state["low"], state["span"])

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """As it is kept."""
        return {"low": self.low, "span": self.span}

    def __call__(self, values: Matrix) -> Matrix:
        return (values - self.low) / self.span


def stacked(clean: Matrix, adversarial: Matrix, detector: str) -> tuple[Matrix, NDArray[np.int64]]:
    """Rows of both kinds, with 1 for adversarial ones.

    Raises:
        PluginError: if there are none of a kind.
    """
    for values, kind in ((clean, "clean"), (adversarial, "adversarial")):
        if not len(values):
            raise PluginError(f"{detector}: there is no {kind} image to learn from; it needs both kinds")
    return np.concatenate([clean, adversarial]), np.repeat([0, 1], [len(clean), len(adversarial)])


def columns(seen: Features, layers: tuple[str, ...]) -> Matrix:
    """The features of some layers side by side (n, width), in double precision."""
    return np.concatenate([seen.layers[name] for name in layers], axis=1).astype(np.float64)


def logistic(values: Matrix, labels: NDArray[np.int64], learning: Learning, detector: str) -> dict[str, NDArray[Any]]:
    """Logistic regression on scaled columns, its penalty chosen by 5-fold cross-validation, as arrays.

    Raises:
        PluginError: with fewer than two images of a kind.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    fewest = int(np.bincount(labels, minlength=2).min())
    if fewest < 2:
        raise PluginError(f"{detector}: cross-validation needs two images of each kind, there is {fewest}")
    scale = MinMax.of(values)
    folds = StratifiedKFold(min(5, fewest), shuffle=True, random_state=learning.seed)
    search = GridSearchCV(
        LogisticRegression(max_iter=1000), {"C": np.logspace(-4, 4, 10)}, cv=folds, scoring="neg_log_loss"
    )
    model = search.fit(scale(values), labels).best_estimator_
    return {**scale.state, "weights": model.coef_[0], "bias": model.intercept_}


def log_odds(state: State, values: Matrix) -> Matrix:
    """The log-odds of being adversarial, by what `logistic` learned."""
    return np.asarray(MinMax.from_state(state)(values) @ state["weights"] + state["bias"][0])
