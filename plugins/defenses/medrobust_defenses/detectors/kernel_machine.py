"""A support vector machine with a Gaussian kernel, learned by scikit-learn and kept as arrays."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medrobust import State

GAMMA: Final = 2.8
"""Of the kernel exp(-gamma d^2), as the released code of ma2020 has it."""


def fit_kernel_machine(values: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """What the machine learns of rows with label 0 or 1."""
    from sklearn.svm import SVC

    machine = SVC(kernel="rbf", gamma=GAMMA).fit(values, labels)
    return {"vectors": machine.support_vectors_, "weights": machine.dual_coef_[0], "bias": machine.intercept_}


def kernel_decision(state: State, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The decision function (n,). Probabilities are a rising function of it, so that every AUC is the same."""
    vectors = state["vectors"]
    apart = (values**2).sum(axis=1)[:, None] + (vectors**2).sum(axis=1)[None, :] - 2 * values @ vectors.T
    return np.asarray(np.exp(-GAMMA * np.maximum(apart, 0)) @ state["weights"] + state["bias"][0])
