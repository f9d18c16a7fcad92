"""What the author of a probe implements: what a figure or a detector needs beyond logits."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .classifier import Classifier
from .plugin import Plugin


class Probe(Plugin):
    """Measures named arrays that logits do not show: example images, features, saliency, loss surfaces."""

    kind: ClassVar[str] = "probe"

    def select(self, labels: NDArray[np.int64] | None, count: int) -> NDArray[np.intp]:
        """Positions of the images to measure, among `count` images with these labels; by default, all."""
        return np.arange(count)

    @abstractmethod
    def measure(self, classifier: Classifier, images: Tensor, adversarial: Tensor) -> dict[str, NDArray[Any]]:
        """Arrays by name, first axis the images.

        Args:
            classifier: the target.
            images: the clean images selected (n, c, h, w) in [0, 1].
            adversarial: their adversarial versions, same shape.
        """

    def facts(self, classifier: Classifier, images: Tensor) -> dict[str, str]:
        """What is kept beside the arrays in words, such as the name of the layer that was looked at.

        Args:
            classifier: the target.
            images: the clean images selected.
        """
        return {}
