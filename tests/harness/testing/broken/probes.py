"""A probe that breaks the rule it is asked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from medrobust import (
    Classifier,
    Probe,
)


@dataclass(frozen=True)
class Look(Probe):
    """The perturbations, with a fault.

    Attributes:
        fault: what is wrong with it; nothing, if empty.
    """

    name: ClassVar[str] = "look"
    fault: str = ""

    def select(self, labels: Any, count: int) -> Any:
        if self.fault == "selection without labels":
            return np.flatnonzero(labels == labels)
        return np.array([0, 0]) if self.fault == "selection" else np.arange(count)

    def measure(self, classifier: Classifier, images: Tensor, adversarial: Tensor) -> dict[str, Any]:
        if self.fault == "images and model untouched":
            images.zero_()
        difference = (adversarial - images).numpy()
        if self.fault == "arrays of colour":
            difference = difference / difference[:, 1:].std()
        if self.fault == "twice the same":
            difference = difference + np.random.default_rng().normal(size=difference.shape)
        return {"difference": difference[:2] if self.fault == "arrays" else difference}
