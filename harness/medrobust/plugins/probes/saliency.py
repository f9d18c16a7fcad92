"""Where the loss feels the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ...contracts import Classifier, Reference
from .selection import ImageMaps, own_decision

SIMONYAN = Reference(
    ("K. Simonyan", "A. Vedaldi", "A. Zisserman"),
    "Deep inside convolutional networks: Visualising image classification models and saliency maps",
    "ICLR Workshop",
    2014,
)


@dataclass(frozen=True)
class Saliency(ImageMaps):
    """Saliency: the absolute gradient of the loss, summed over channels, of pixels in [0, 1].

    The loss is that of the class that the model gives the image. The channels are summed before the absolute value is
    taken, as the code of ma2020 does.

    Attributes:
        per_class: images per class; if images have no label, or several, the total number.
    """

    name: ClassVar[str] = "saliency"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (SIMONYAN,)

    def maps(self, classifier: Classifier, images: Tensor) -> Tensor:
        found = classifier.gradient(images, own_decision(classifier, images).loss)
        return found.gradient.sum(dim=1).abs()
