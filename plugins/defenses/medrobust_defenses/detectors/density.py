"""Detection by kernel density."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medrobust import PENULTIMATE, Detector, Features, Learning, PluginError, Positive, Reference, State, TensorScore
from medrobust import predictions as decide

from ..references import FEINMAN, MA
from .scaling import log_odds, logistic, stacked

ROWS = 256
"""Images whose distances to all images of a class are in memory together."""


@dataclass(frozen=True)
class KernelDensity(Detector):
    """How rare an image is among those of the class predicted for it, by a Gaussian kernel density of deep features.

    Feinman et al., "Detecting adversarial samples from artifacts", 2017, as ma2020 uses it (section 3.2): the logarithm
    of the density under the predicted class, scaled to [0, 1], in a logistic regression. Equation 9 of ma2020 lacks the
    minus sign; the kernel is exp(-d^2 / (2 h^2)), so that sigma^2 = 2 h^2.

    Attributes:
        layer: whose output is the deep features.
        bandwidth: h, in units of the features; the released code of ma2020 has 1.0 for all data sets.
        density_of: `train`, the images that the model was trained on, by their labels; or `self`, the clean images
            themselves, fitted on and scored, by their predictions, as in the released code: every clean image then lies
            in the middle of a kernel of its own, which alone can give an AUC near 1.
    """

    name: ClassVar[str] = "kd"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (FEINMAN, MA)
    layer: str = PENULTIMATE
    bandwidth: Positive = 1.0
    density_of: Literal["train", "self"] = "train"

    @property
    def watches(self) -> tuple[str, ...]:
        return (self.layer,)

    @property
    def leaks(self) -> str:
        if self.density_of == "train":
            return ""
        return "the density is that of the very clean images that are scored (density_of = 'self')"

    def fit(self, learning: Learning) -> State:
        points, classes = self._points(learning)
        clean, adversarial = learning.clean, learning.adversarial
        wanted = np.unique(np.concatenate([clean.predicted, adversarial.predicted]))
        if missing := [learning.classes[c] for c in wanted if not (classes == c).any()]:
            raise PluginError(
                f"kd: there is no {'training' if self.density_of == 'train' else 'clean'} image of class "
                f"{', '.join(missing)}, which the model predicts, so that it has no density"
            )
        state: State = {"points": points, "classes": classes}
        values, labels = stacked(self._log_density(state, clean), self._log_density(state, adversarial), "kd")
        return {**state, **logistic(values[:, None], labels, learning, "kd")}

    def _points(self, learning: Learning) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        if self.density_of == "train":
            features, labels = learning.train()
            return features.layers[self.layer], labels
        assert learning.judged is not None
        both = (learning.clean, learning.judged)
        points = np.concatenate([each.layers[self.layer] for each in both])
        return points, np.concatenate([each.predicted for each in both])

    def score(self, state: State, seen: Features) -> NDArray[np.float64]:
        return log_odds(state, self._log_density(state, seen)[:, None])

    def _log_density(self, state: State, seen: Features) -> NDArray[np.float64]:
        found = np.empty(len(seen))
        for rows in np.array_split(np.arange(len(seen)), max(1, -(-len(seen) // ROWS))):
            some = seen[rows]
            features = torch.as_tensor(some.layers[self.layer]).double()
            found[rows] = self._densities(state, features, torch.as_tensor(some.predicted)).numpy()
        return found

    def _densities(self, state: State, features: Tensor, predicted: Tensor) -> Tensor:
        """Log densities (n,), up to the constant of the kernel, which all images share."""
        device = features.device
        points = torch.as_tensor(state["points"], device=device).to(features.dtype)
        classes = torch.as_tensor(state["classes"], device=device)
        found = torch.empty(len(features), dtype=features.dtype, device=device)
        for index in predicted.unique():
            mine, own = predicted == index, classes == index
            if not own.any():
                raise PluginError(f"kd: there is no image of class {int(index)}, which the model predicts")
            apart = _squared_distances(features[mine], points[own])
            log_kernel = -apart / (2 * self.bandwidth**2)
            found = found.index_put((mine.nonzero()[:, 0],), log_kernel.logsumexp(dim=1) - np.log(int(own.sum())))
        return found

    def differentiable(self, state: State) -> TensorScore:
        def score(layers: Mapping[str, Tensor], logits: Tensor) -> Tensor:
            density = self._densities(state, layers[self.layer].double(), decide(logits))
            scaled = (density - float(state["low"][0])) / float(state["span"][0])
            return (scaled * float(state["weights"][0]) + float(state["bias"][0])).to(logits.dtype)

        return score


def _squared_distances(first: Tensor, second: Tensor) -> Tensor:
    """Squared Euclidean distances (n, m), not below zero for rounding."""
    products = first @ second.T
    return (first.square().sum(dim=1)[:, None] + second.square().sum(dim=1)[None, :] - 2 * products).clamp_min(0)
