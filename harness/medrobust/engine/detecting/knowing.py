"""What an attack that knows the detector is given of it, and the attack as the stream runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...contracts import (
    Attack,
    Budget,
    Classifier,
    Detection,
    Detector,
    DetectorAttack,
    Features,
    Goal,
    SampleRNG,
    State,
    Targeted,
    ThreatModel,
    predictions,
)
from .learning import TrainingImages, scored
from .taking import Taker, pooled

GUIDES = 2000
"""Clean training images at most whose features serve as models of what a clean image looks like."""


@dataclass(frozen=True)
class KnowingAttack(Attack):
    """An attack with the detector that it knows, as any other attack is run."""

    name: ClassVar[str] = "knowing"
    inner: DetectorAttack
    taker: Taker
    detector: Detector
    state: State
    train: TrainingImages

    @property
    def threat(self) -> ThreatModel:  # type: ignore[override]
        return self.inner.threat

    @property
    def title(self) -> str:
        return self.inner.title

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        detection = self._detection(goal, images.device)
        return self.inner.evade(classifier, detection, images, goal, budget, rng)

    def _detection(self, goal: Goal, device: torch.device) -> Detection:
        layer = self.detector.watches[0]
        function = self.detector.differentiable(self.state) if len(self.detector.watches) == 1 else None

        def score(images: Tensor) -> Tensor:
            found = scored(self.detector, self.state, self.taker.of(images).features)
            return torch.as_tensor(found, dtype=torch.float32, device=device)

        if function is not None:
            return Detection(layer, score, lambda x, logits: function({layer: pooled(x)}, logits), of_score=True)
        features, labels = self.train()
        return Detection(layer, score, Guides(features, labels, layer, goal, device), of_score=False)


class Guides:
    """The squared distance of features to the nearest clean training image of the class that an image is driven to.

    In units of the mean squared distance between nearest clean images of one class.
    """

    def __init__(
        self,
        features: Features,
        labels: NDArray[np.int64],
        layer: str,
        goal: Goal,
        device: torch.device,
    ) -> None:
        # Those that the model classifies correctly, evenly over the set where there are very many.
        right = np.flatnonzero(features.predicted == labels)
        right = right[:: max(1, len(right) // GUIDES)]
        self.guides = torch.as_tensor(features.layers[layer][right], device=device)
        self.classes = torch.as_tensor(labels[right], device=device)
        self.goal = goal
        apart = torch.cdist(self.guides, self.guides).fill_diagonal_(torch.inf)
        apart[self.classes[:, None] != self.classes[None, :]] = torch.inf
        nearest = apart.min(dim=1).values
        usual = nearest[torch.isfinite(nearest)].square().mean()
        self.unit = usual if torch.isfinite(usual) and usual > 0 else torch.ones((), device=device)

    def __call__(self, features: Tensor, logits: Tensor) -> Tensor:
        seen = pooled(features)
        wanted = driven_to(self.goal, logits)
        # Differences by hand: the gradient of a distance of zero is none.
        with torch.no_grad():
            apart = torch.cdist(seen, self.guides)
            apart[self.classes[None, :] != wanted[:, None]] = torch.inf
            nearest = apart.argmin(dim=1)
        return (seen - self.guides[nearest]).square().sum(dim=1) / self.unit


def driven_to(goal: Goal, logits: Tensor) -> Tensor:
    """The class that each image is driven to: the one asked for, else the most probable one to be left alone."""
    if isinstance(goal, Targeted):
        return goal.labels
    others = logits.detach().clone()
    others.scatter_(1, goal.labels[:, None], -torch.inf)
    return predictions(others)
