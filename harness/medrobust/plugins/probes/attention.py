"""Where a network looks for the class that it gives an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...contracts import Classifier, Reference
from .layers import LAST, map_layer
from .selection import ImageMaps

SELVARAJU = Reference(
    ("R. R. Selvaraju", "M. Cogswell", "A. Das", "R. Vedantam", "D. Parikh", "D. Batra"),
    "Grad-CAM: Visual explanations from deep networks via gradient-based localization",
    "ICCV",
    2017,
)


@dataclass(frozen=True)
class GradCAM(ImageMaps):
    """Grad-CAM: the channels of a layer, weighted by the mean gradient of the largest logit, where they add to it.

    An adversarial image is looked at for the class that it is given, not for that of the clean image.

    Attributes:
        per_class: images per class; if images have no label, or several, the total number.
        layer: as of `feature-maps`; by default the last maps before they are pooled for the classifier.
    """

    name: ClassVar[str] = "grad-cam"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (SELVARAJU,)
    layer: str = LAST

    def facts(self, classifier: Classifier, images: Tensor) -> dict[str, str]:
        return {"layer": map_layer(classifier, images, self.layer)}

    def maps(self, classifier: Classifier, images: Tensor) -> Tensor:
        layer = map_layer(classifier, images, self.layer)
        found = classifier.layer_gradient(images, lambda logits, _: _score(logits), layer)
        weights = found.at_layer.mean(dim=(2, 3), keepdim=True)
        return (weights * found.features).sum(dim=1).clamp(min=0)


def _score(logits: Tensor) -> Tensor:
    """The logit (n,) of the class decided for."""
    return torch.amax(logits, dim=1)
