"""What the core offers itself: the absence of an attack and of a defense."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, get_args

from torch import Tensor, nn

from ..contracts import Attack, Budget, Classifier, Draws, Goal, Norm, Plugin, Preprocessing, ThreatModel
from .hookspecs import hookimpl


@dataclass(frozen=True)
class NoAttack(Attack):
    """The images as they are; its cell is the clean record of a target, stored once and joined by all others."""

    name: ClassVar[str] = "none"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms=set(get_args(Norm)), knowledge="none")

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, random: Draws) -> Tensor:
        return images


@dataclass(frozen=True)
class NoDefense(Preprocessing):
    """The model as it was trained."""

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
