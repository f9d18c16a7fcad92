"""Attacks of foolbox by name, `foolbox:LinfDeepFoolAttack`: every class of `foolbox.attacks`, with its parameters.

What an attack can do follows from the library: its norm from its distance, its goals from the criteria that its `run`
takes, what it knows of the model from whether its code takes gradients.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from torch import Tensor

from medrobust import (
    Budget,
    BudgetSpec,
    Classifier,
    DataInfo,
    Goal,
    Norm,
    Provider,
    Reference,
    SampleRNG,
    Targeted,
    ThreatModel,
    adapted,
    arguments,
)

from ..references import FOOLBOX
from .common import AdaptedAttack, installed, network, within
from .twins import FOOLBOX as FOOLBOX_TWINS
from .twins import Twins

NORMS: dict[float, Norm] = {float("inf"): "linf", 2: "l2", 1: "l1", 0: "l0"}
GIVEN = ("distance", "constraint", "init_attack", "tensorboard", "channel_axis")
"""Parameters that follow from budget and images, or that a grid has no use for."""


@dataclass(frozen=True)
class FoolboxAttack(AdaptedAttack):
    """An attack of foolbox, called as its documentation says."""

    libraries: ClassVar[tuple[str, ...]] = ("foolbox",)
    references: ClassVar[tuple[Reference, ...]] = (FOOLBOX,)
    adapts: ClassVar[Any]

    @property
    def title(self) -> str:
        return f"foolbox:{self.name}"

    def unsuited(self, budget: BudgetSpec, info: DataInfo) -> str:
        return "" if budget.bounded else "keeps images in a box, as all of foolbox do; leave out box=none"

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        return self.crafted(classifier, images, goal, budget)[1]

    def crafted(
        self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the library returns: its images, those drawn back to the radius, and which of these it calls broken."""
        foolbox: Any = importlib.import_module("foolbox")
        model = foolbox.PyTorchModel(network(classifier), bounds=(0, 1), device=images.device)
        attack = self._attack(budget)
        if hasattr(attack, "feed"):
            attack.feed(model, images)
        radius = None if budget.norm in ("l0", "unbounded") else budget.eps
        with installed("foolbox"):
            raw, clipped, success = attack(model, images, _criterion(goal), epsilons=radius)
        return raw, within(images, clipped, budget) if budget.norm == "l0" else clipped, success

    def _attack(self, budget: Budget) -> Any:
        of = type(self).adapts
        distances: Any = importlib.import_module("foolbox.distances")
        settings = arguments(self)
        if "constraint" in inspect.signature(of).parameters:
            settings["constraint"] = budget.norm
        attack = of(**settings)
        if _is_flexible(of):
            attack._distance = getattr(distances, "l2" if budget.norm == "unbounded" else budget.norm)
        return attack


class Foolbox(Provider):
    """The attacks of foolbox."""

    prefix: ClassVar[str] = "foolbox"
    twins: ClassVar[Twins] = FOOLBOX_TWINS
    kind: ClassVar[str] = "attack"
    library: ClassVar[str] = "foolbox"

    def names(self) -> Iterable[str]:
        return _classes()

    def plugin(self, name: str) -> type[FoolboxAttack]:
        return _made(_classes()[name])


def __getattr__(name: str) -> type[FoolboxAttack]:
    """The class of an attack, for processes that are handed an instance."""
    if not name.startswith("_") and name in (found := _classes()):
        return _made(found[name])
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


@cache
def _classes() -> dict[str, Any]:
    """The attacks by name, aliases included."""
    attacks: Any = importlib.import_module("foolbox.attacks")
    kind = attacks.Attack
    found = {
        name: value for name, value in vars(attacks).items() if isinstance(value, type) and issubclass(value, kind)
    }
    return {name: value for name, value in sorted(found.items()) if not inspect.isabstract(value)}


@cache
def _made(of: Any) -> type[FoolboxAttack]:
    return adapted(FoolboxAttack, of, __name__, given=GIVEN, threat=_threat(of))


def _threat(of: Any) -> ThreatModel:
    """What an attack of foolbox supports."""
    base: Any = importlib.import_module("foolbox.attacks.base")
    white_box = "and_grad" in "".join(inspect.getsource(sys.modules[each.__module__]) for each in _own(of))
    taken = str(inspect.signature(of.run).parameters["criterion"].annotation)
    named = [name for name in ("untargeted", "targeted") if _takes(name, taken)]
    if 'hasattr(criterion, "target_classes")' in inspect.getsource(of.run):
        named = ["untargeted"]
    any_goal = not named and not white_box
    runs = "".join(inspect.getsource(vars(each)["run"]) for each in _own(of) if "run" in vars(each))
    asks = "is_adversarial" in runs or "model(" in runs
    scores = "softmax" in runs or "logits" in runs
    return ThreatModel(
        norms=_norms(of),
        goals={"untargeted", "targeted"} if any_goal else set(named or ["untargeted"]),
        knowledge="white-box" if white_box else "none" if not asks else "score-based" if scores else "decision-based",
        tasks={"multiclass", "multilabel"} if any_goal else {"multiclass"},
        minimal=issubclass(of, base.MinimizationAttack),
    )


def _takes(goal: str, annotation: str) -> bool:
    """Whether the criterion of a goal stands in an annotation."""
    rest = annotation.replace("TargetedMisclassification", "")
    return "TargetedMisclassification" in annotation if goal == "targeted" else "Misclassification" in rest


def _norms(of: Any) -> set[Norm]:
    parameters = inspect.signature(of).parameters
    if "constraint" in parameters:
        return {"linf", "l2"}
    if _is_flexible(of):
        return set(NORMS.values())
    if not hasattr(of, "distance"):
        return {"unbounded"}
    distance = of.distance
    if isinstance(distance, property):
        distance = of().distance
    return {NORMS[distance.p]}


def _is_flexible(of: Any) -> bool:
    """Whether it minimises whatever distance it is given."""
    base: Any = importlib.import_module("foolbox.attacks.base")
    return issubclass(of, base.FlexibleDistanceMinimizationAttack)


def _own(of: Any) -> list[Any]:
    """The classes that an attack is made of, but for the library's bases of all attacks."""
    return [
        each
        for each in of.__mro__
        if each.__module__.startswith("foolbox") and not each.__module__.endswith("attacks.base")
    ]


def _criterion(goal: Goal) -> Any:
    """The library's criterion for a goal; for labels that it does not know, one of our own."""
    foolbox: Any = importlib.import_module("foolbox")
    if goal.labels.ndim == 1:
        targeted = isinstance(goal, Targeted)
        return (foolbox.criteria.TargetedMisclassification if targeted else foolbox.Misclassification)(goal.labels)

    class Reached(foolbox.Criterion):  # type: ignore[misc]
        def __repr__(self) -> str:
            return f"Reached({goal!r})"

        def __call__(self, perturbed: Any, outputs: Any) -> Any:
            return type(outputs)(goal.reached(outputs.raw))

    return Reached()
