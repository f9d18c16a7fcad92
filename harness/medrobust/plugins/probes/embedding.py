"""Deep features in the plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from ...contracts import PENULTIMATE, Classifier, Positive, Probe, Reference
from ...errors import PluginError

MAATEN = Reference(
    ("L. van der Maaten", "G. Hinton"), "Visualizing data using t-SNE", "Journal of Machine Learning Research 9", 2008
)
BATCH = 256
"""Images in one pass."""
LEAST = 3
"""Images for which neighbours mean something."""


@dataclass(frozen=True)
class TSNE(Probe):
    """t-SNE of deep features: clean and adversarial images together in the plane, by scikit-learn.

    Maps are averaged over their places. Places in the plane follow from the features alone: the start is their
    principal components, the seed is fixed. Arrays: `clean` and `adversarial` (n, 2), and the features behind them,
    `clean_features` and `adversarial_features` (n, d).

    Attributes:
        layer: a name, as `named_modules` has it; `penultimate` is what goes into the last linear layer.
        images: at most so many, the first ones.
        perplexity: of t-SNE, about how many neighbours count; fewer where there are few images.
        learning_rate: of t-SNE; the code of ma2020 has 100.
    """

    name: ClassVar[str] = "t-sne"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (MAATEN,)
    layer: str = PENULTIMATE
    images: Annotated[int, Field(ge=LEAST)] = 100
    perplexity: Positive = 30.0
    learning_rate: Positive = 100.0

    def select(self, labels: NDArray[np.int64] | None, count: int) -> NDArray[np.intp]:
        return np.arange(min(self.images, count))

    def facts(self, classifier: Classifier, images: Tensor) -> dict[str, str]:
        return {"layer": self.layer}

    def measure(self, classifier: Classifier, images: Tensor, adversarial: Tensor) -> dict[str, NDArray[Any]]:
        if len(images) < LEAST:
            raise PluginError(f"probe 't-sne' needs at least {LEAST} images; there are {len(images)}")
        features = [self._features(classifier, each) for each in (images, adversarial)]
        clean, attacked = np.split(self._embedded(np.concatenate(features)), 2)
        return {
            "clean": clean,
            "adversarial": attacked,
            "clean_features": features[0],
            "adversarial_features": features[1],
        }

    def _features(self, classifier: Classifier, images: Tensor) -> NDArray[np.float32]:
        found = torch.cat([classifier.features(batch, self.layer) for batch in images.split(BATCH)])
        flat = found.mean(dim=(2, 3)) if found.ndim == 4 else found.flatten(1)
        return np.asarray(flat.cpu().numpy(), dtype=np.float32)

    def _embedded(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features (m, d) in the plane (m, 2)."""
        from sklearn import manifold
        from threadpoolctl import threadpool_limits

        perplexity = min(self.perplexity, (len(features) - 1) / 3)
        embedding = manifold.TSNE(
            perplexity=perplexity, learning_rate=self.learning_rate, init="pca", random_state=0, n_jobs=1
        )
        # With one thread, sums are taken in one order and equal features have equal places.
        with threadpool_limits(1):
            places: NDArray[np.float32] = embedding.fit_transform(features)
        return places
