"""Which images a probe looks at, and what they are to the model."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...contracts import Classifier, Count, Probe, Untargeted, decide


@dataclass(frozen=True)
class FirstOfClass(Probe):
    """Looks at the first images of each class: the same ones for every model, attack and budget.

    Attributes:
        per_class: images per class; if images have no label, or several, the total number.
    """

    per_class: Count = 1

    def select(self, labels: NDArray[np.int64] | None, count: int) -> NDArray[np.intp]:
        if labels is None or labels.ndim > 1:
            return np.arange(min(count, self.per_class))
        return np.concatenate([np.flatnonzero(labels == label)[: self.per_class] for label in np.unique(labels)])


@dataclass(frozen=True)
class ImageMaps(FirstOfClass):
    """Measures one map (h, w) of each image, clean and adversarial, under these names."""

    @abstractmethod
    def maps(self, classifier: Classifier, images: Tensor) -> Tensor:
        """The maps (n, h, w) of images (n, c, h', w')."""

    def measure(self, classifier: Classifier, images: Tensor, adversarial: Tensor) -> dict[str, NDArray[Any]]:
        pairs = {"clean": images, "adversarial": adversarial}
        return {name: self.maps(classifier, each).cpu().numpy() for name, each in pairs.items()}


def own_decision(classifier: Classifier, images: Tensor) -> Untargeted:
    """The loss of what the model itself says of images; where it is right, that of the true class."""
    return Untargeted(decide(classifier.logits(images), multilabel=classifier.task == "multilabel"))
