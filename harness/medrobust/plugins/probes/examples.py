"""Example images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray
from torch import Tensor

from ...contracts import Classifier
from .selection import FirstOfClass


@dataclass(frozen=True)
class Examples(FirstOfClass):
    """The first images of each class, clean and adversarial; the same images for every attack and budget.

    Attributes:
        per_class: images per class; if images have no label, or several, the total number.
    """

    name: ClassVar[str] = "examples"
    revision: ClassVar[int] = 1

    def measure(self, classifier: Classifier, images: Tensor, adversarial: Tensor) -> dict[str, NDArray[Any]]:
        return {"clean": images.cpu().numpy(), "adversarial": adversarial.cpu().numpy()}
