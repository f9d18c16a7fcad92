"""What a layer makes of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ...contracts import Classifier
from .layers import LAST, map_layer
from .selection import ImageMaps


@dataclass(frozen=True)
class FeatureMaps(ImageMaps):
    """The output of a layer, averaged over its channels (Figs 6 and 10 of ma2020).

    Attributes:
        per_class: images per class; if images have no label, or several, the total number.
        layer: a name, as `named_modules` has it; `last` for the last maps before they are pooled for the classifier;
            `middle` for the last maps of the middle one of the sizes that maps have on their way.
    """

    name: ClassVar[str] = "feature-maps"
    revision: ClassVar[int] = 1
    layer: str = LAST

    def facts(self, classifier: Classifier, images: Tensor) -> dict[str, str]:
        return {"layer": map_layer(classifier, images, self.layer)}

    def maps(self, classifier: Classifier, images: Tensor) -> Tensor:
        return classifier.features(images, map_layer(classifier, images, self.layer)).mean(dim=1)
