"""A detector that breaks the rule it is asked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from medrobust import (
    PENULTIMATE,
    Detector,
    Features,
    Learning,
    State,
    TensorScore,
)


@dataclass(frozen=True)
class Middle(Detector):
    """Distance from the mean of clean features, with a fault.

    Attributes:
        fault: what is wrong with it; nothing, if empty.
    """

    name: ClassVar[str] = "middle"
    fault: str = ""

    def fit(self, learning: Learning) -> State:
        if self.fault == "features untouched":
            learning.clean.layers[PENULTIMATE][:] = 0
        drawn = np.random.default_rng().normal() if self.fault == "seed" else 0.0
        mean = learning.clean.layers[PENULTIMATE].astype(np.float64).mean(axis=0) + drawn
        return {"mean": mean.tolist() if self.fault == "state" else mean}

    def score(self, state: State, seen: Features) -> Any:
        features = seen.layers[PENULTIMATE].astype(np.float64)
        middle = features.mean(axis=0) if self.fault == "each image alone" else np.asarray(state["mean"])
        apart = np.linalg.norm(features - middle, axis=1)
        if self.fault == "scores":
            return apart[:, None]
        return -apart if self.fault == "adversarial scores more" else apart

    def differentiable(self, state: State) -> TensorScore | None:
        if self.fault in ("each image alone", "state", "adversarial scores more", "scores", "features untouched"):
            return None
        factor = 2.0 if self.fault == "differentiable" else 1.0

        def score(layers: Any, logits: Tensor) -> Tensor:
            return factor * (layers[PENULTIMATE] - torch.as_tensor(state["mean"])).norm(dim=1)

        return score
