"""Attacks of torchattacks by name, `torchattacks:DIFGSM`, an extra: `pip install medrobust[torchattacks]`.

Its docstrings say which norm an attack is about, its objects which goals it supports.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn

from medrobust import (
    Budget,
    BudgetSpec,
    Classifier,
    DataInfo,
    Goal,
    Length,
    Norm,
    Provider,
    Reference,
    SampleRNG,
    Targeted,
    ThreatModel,
    adapted,
    arguments,
)

from ..references import TORCHATTACKS
from .common import AdaptedAttack, network, outputs, unrounded, within
from .twins import TORCHATTACKS as TORCHATTACKS_TWINS
from .twins import Twins

GIVEN: Final = ("model", "norm", "eps", "max_epsilon", "n_classes", "verbose", "seed")
"""Parameters that follow from the cell."""
RADIUS: Final = ("eps", "max_epsilon")
ALL: Final[tuple[Norm, ...]] = ("linf", "l2", "l1", "l0")


@dataclass(frozen=True)
class Torchattack(AdaptedAttack):
    """An attack of torchattacks."""

    libraries: ClassVar[tuple[str, ...]] = ("torchattacks",)
    references: ClassVar[tuple[Reference, ...]] = (TORCHATTACKS,)
    adapts: ClassVar[Any]

    @property
    def title(self) -> str:
        return f"torchattacks:{self.name}"

    def unsuited(self, budget: BudgetSpec, info: DataInfo) -> str:
        return "" if budget.bounded else "keeps images in a box, as all of torchattacks do; leave out box=none"

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        return self.crafted(classifier, images, goal, budget)[1]

    def crafted(
        self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget
    ) -> tuple[Tensor, Tensor, None]:
        """What the library returns, and the same drawn back to the radius where it was not told one."""
        taken = inspect.signature(self.adapts).parameters
        radius = _radius_of(self.adapts)
        settings = arguments(self)
        for name, value in settings.items():
            if isinstance(value, Length):
                settings[name] = value.resolve(eps=budget.eps)
        known: dict[str, Any] = {"norm": {"linf": "Linf", "l2": "L2", "l1": "L1"}.get(budget.norm)}
        known |= {"n_classes": outputs(classifier), "verbose": False}
        known["seed"] = int(torch.randint(2**31, (1,)))  # its own default is the same for every batch
        if radius is not None and budget.eps is not None:
            known[radius] = budget.eps
        # It asks the parameters for the device.
        attack = self.adapts(network(classifier), **settings, **{k: v for k, v in known.items() if k in taken})
        attack.device = images.device
        if isinstance(goal, Targeted):
            attack.set_mode_targeted_by_label(quiet=True)
        labels = goal.labels if goal.labels.ndim == 1 else torch.zeros(len(images), dtype=torch.long)
        raw = unrounded(attack(images.clone(), labels.to(images.device)).detach(), budget)
        told = radius is not None and budget.eps is not None
        return raw, raw if told else within(images, raw, budget), None


class Torchattacks(Provider):
    """The attacks of torchattacks."""

    prefix: ClassVar[str] = "torchattacks"
    twins: ClassVar[Twins] = TORCHATTACKS_TWINS
    kind: ClassVar[str] = "attack"
    library: ClassVar[str] = "torchattacks"
    install: ClassVar[str] = "pip install 'medrobust[torchattacks]'"

    def names(self) -> Iterable[str]:
        return _classes()

    def plugin(self, name: str) -> type[Torchattack]:
        return _made(_classes()[name])


def __getattr__(name: str) -> type[Torchattack]:
    """The class of an attack, for processes that are handed an instance."""
    if not name.startswith("_") and name in (found := _classes()):
        return _made(found[name])
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


@cache
def _classes() -> dict[str, Any]:
    library: Any = importlib.import_module("torchattacks")
    base: Any = importlib.import_module("torchattacks.attack").Attack
    return {n: v for n, v in sorted(vars(library).items()) if isinstance(v, type) and issubclass(v, base)}


@cache
def _made(of: Any) -> type[Torchattack]:
    taken = inspect.signature(of).parameters
    fields: dict[str, tuple[Any, Any]] = {}
    if (radius := _radius_of(of)) is not None and "alpha" in taken:
        share = Fraction(taken["alpha"].default / taken[radius].default).limit_denominator(100)
        fields["alpha"] = (Length, Length.parse(f"{share.numerator}*eps/{share.denominator}"))
    # A parameter that it cannot do without is told before it is created to be asked for its goals.
    made = adapted(Torchattack, of, __name__, given=GIVEN, fields=fields, threat=ThreatModel(norms={"linf"}))
    made.threat = _threat(of)
    return made


def _radius_of(of: Any) -> str | None:
    return next((name for name in RADIUS if name in inspect.signature(of).parameters), None)


def _threat(of: Any) -> ThreatModel:
    source = inspect.getsource(sys.modules[of.__module__])
    asks = "get_logits" in source or "self.model" in source
    told = re.search(r"Distance Measure *: *(.*)", of.__doc__ or "")
    norms: set[Norm] = {n for n in ALL if told and n in told[1].lower()}
    if not norms:
        norms = {"unbounded"} if "std" in inspect.signature(of).parameters else set(ALL)
    with torch.random.fork_rng(devices=[]):
        modes = of(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).eval()).supported_mode
    # An ensemble has its gradients in other modules.
    gradients = "autograd.grad" in source or ".backward(" in source or "MultiAttack" in source
    return ThreatModel(
        norms=norms,
        goals={"untargeted", "targeted"} if "targeted" in modes else {"untargeted"},
        knowledge=("white-box" if gradients else "score-based") if asks or gradients else "none",
        tasks={"multiclass"} if asks or gradients else {"multiclass", "multilabel"},
        minimal=_radius_of(of) is None and norms != {"unbounded"} and (asks or gradients),
    )
