"""Detection by a random forest on deep features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from medrobust import PENULTIMATE, Count, Detector, Features, Learning, Reference, State

from ..references import MA
from .kernel_machine import fit_kernel_machine, kernel_decision
from .scaling import Matrix, MinMax, columns, stacked


@dataclass(frozen=True)
class DeepFeatures(Detector):
    """A classifier on the deep features themselves (DFeat of ma2020, section 5), scaled to [0, 1].

    Attributes:
        layers: whose outputs are the features, side by side.
        classifier: `forest`, a random forest; or `svm`, a support vector machine with a Gaussian kernel, which the
            released code of ma2020 uses where attacks are transferred (Table 5).
        trees: of the forest; the released code of ma2020 has 30.
    """

    name: ClassVar[str] = "dfeat"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (MA,)
    layers: tuple[str, ...] = (PENULTIMATE,)
    classifier: Literal["forest", "svm"] = "forest"
    trees: Count = 30

    @property
    def watches(self) -> tuple[str, ...]:
        return self.layers

    def fit(self, learning: Learning) -> State:
        clean, adversarial = (columns(seen, self.layers) for seen in (learning.clean, learning.adversarial))
        values, labels = stacked(clean, adversarial, "dfeat")
        scale = MinMax.of(values)
        learned = self._forest(scale(values), labels, learning.seed) if self.classifier == "forest" else None
        return {**scale.state, **(learned or fit_kernel_machine(scale(values), labels))}

    def _forest(self, values: Matrix, labels: NDArray[np.int64], seed: int) -> dict[str, NDArray[Any]]:
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(self.trees, random_state=seed, n_jobs=1).fit(values, labels)
        return arrays_of([tree.tree_ for tree in forest.estimators_])

    def score(self, state: State, seen: Features) -> NDArray[np.float64]:
        values = MinMax.from_state(state)(columns(seen, self.layers))
        return forest_share(state, values) if self.classifier == "forest" else kernel_decision(state, values)


def arrays_of(trees: list[Any]) -> dict[str, NDArray[Any]]:
    """Trees of scikit-learn as arrays over all their nodes, one tree after the other.

    A leaf has no children (-1) and the share of adversarial images in it; `roots` is where each tree begins.
    """
    sizes = [tree.node_count for tree in trees]
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    children = [
        np.where(own >= 0, own + root, -1)
        for root, tree in zip(roots, trees, strict=True)
        for own in (np.stack([tree.children_left, tree.children_right], axis=1),)
    ]
    counts = np.concatenate([tree.value[:, 0, :] for tree in trees])
    return {
        "roots": roots.astype(np.int64),
        "children": np.concatenate(children).astype(np.int64),
        "feature": np.concatenate([tree.feature for tree in trees]).astype(np.int64),
        "threshold": np.concatenate([tree.threshold for tree in trees]),
        "share": counts[:, 1] / counts.sum(axis=1),
    }


def forest_share(state: State, values: Matrix) -> NDArray[np.float64]:
    """The mean over trees of the share of adversarial images in the leaf of each row, as scikit-learn has it."""
    # scikit-learn compares in single precision.
    values = values.astype(np.float32)
    rows = np.arange(len(values))
    total = np.zeros(len(values))
    for root in state["roots"]:
        node = np.full(len(values), root)
        while (inner := state["children"][node, 0] >= 0).any():
            right = values[rows, state["feature"][node]] > state["threshold"][node]
            node = np.where(inner, state["children"][node, right.astype(np.int64)], node)
        total += state["share"][node]
    return total / len(state["roots"])
