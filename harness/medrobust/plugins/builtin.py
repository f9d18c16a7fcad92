"""Plugins of the core itself: no attack, no defense, and example images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from ..contracts import Attack, Budget, Classifier, Goal, Norm, Plugin, Preprocessing, Probe, SampleRNG, ThreatModel
from .hookspecs import hookimpl


@dataclass(frozen=True)
class NoAttack(Attack):
    """No attack. Its cell is the clean record of a target, computed once and compared with all others."""

    name: ClassVar[str] = "none"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms=set(get_args(Norm)), knowledge="none")

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        return images


@dataclass(frozen=True)
class NoDefense(Preprocessing):
    """No defense: the model as it was trained."""

    name: ClassVar[str] = "none"
    revision: ClassVar[int] = 1

    def wrap(self, module: nn.Module) -> nn.Module:
        return module


@dataclass(frozen=True)
class Examples(Probe):
    """The first images of each class, clean and adversarial; the same images for every attack and budget.

    Attributes:
        per_class: images per class; if images have no label, or several, the total number.
    """

    name: ClassVar[str] = "examples"
    revision: ClassVar[int] = 1
    per_class: Annotated[int, Field(ge=1)] = 1

    def select(self, labels: NDArray[np.int64] | None, count: int) -> NDArray[np.intp]:
        if labels is None or labels.ndim > 1:
            return np.arange(min(count, self.per_class))
        return np.concatenate([np.flatnonzero(labels == label)[: self.per_class] for label in np.unique(labels)])

    def measure(self, classifier: Classifier, images: Tensor, adversarial: Tensor) -> dict[str, NDArray[Any]]:
        return {"clean": images.cpu().numpy(), "adversarial": adversarial.cpu().numpy()}


@hookimpl
def medrobust_attacks() -> Iterable[type[Plugin]]:
    return [NoAttack]


@hookimpl
def medrobust_defenses() -> Iterable[type[Plugin]]:
    return [NoDefense]


@hookimpl
def medrobust_probes() -> Iterable[type[Plugin]]:
    return [Examples]
