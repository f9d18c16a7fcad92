"""Detection by quantised deep features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from medrobust import PENULTIMATE, Detector, Features, Learning, Reference, State

from ..references import LU, MA
from .kernel_machine import fit_kernel_machine, kernel_decision
from .scaling import columns, stacked


@dataclass(frozen=True)
class QuantisedFeatures(Detector):
    """Deep features as 0 or 1, whether above their mean, in a support vector machine with a Gaussian kernel.

    QFeat of ma2020 (section 5), after SafetyNet (Lu, Issaranon, Forsyth, ICCV 2017). The mean of a feature is that over
    the images, clean and adversarial, that the detector learns from.

    Attributes:
        layers: whose outputs are the features, side by side.
    """

    name: ClassVar[str] = "qfeat"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (LU, MA)
    layers: tuple[str, ...] = (PENULTIMATE,)

    @property
    def watches(self) -> tuple[str, ...]:
        return self.layers

    def fit(self, learning: Learning) -> State:
        clean, adversarial = (columns(seen, self.layers) for seen in (learning.clean, learning.adversarial))
        values, labels = stacked(clean, adversarial, "qfeat")
        means = values.mean(axis=0)
        return {"means": means, **fit_kernel_machine((values > means).astype(np.float64), labels)}

    def score(self, state: State, seen: Features) -> NDArray[np.float64]:
        return kernel_decision(state, (columns(seen, self.layers) > state["means"]).astype(np.float64))
