"""Plugins of the core itself: no attack, no defense, and the probes that figures are drawn from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, get_args

from torch import Tensor, nn

from ..contracts import Attack, Budget, Classifier, Goal, Norm, Plugin, Preprocessing, SampleRNG, ThreatModel
from .hookspecs import hookimpl
from .probes import PROBES


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


@hookimpl
def medrobust_attacks() -> Iterable[type[Plugin]]:
    return [NoAttack]


@hookimpl
def medrobust_defenses() -> Iterable[type[Plugin]]:
    return [NoDefense]


@hookimpl
def medrobust_probes() -> Iterable[type[Plugin]]:
    return PROBES
