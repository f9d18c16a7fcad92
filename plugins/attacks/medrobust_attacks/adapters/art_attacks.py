"""Evasion attacks of ART by name, `art:SquareAttack`: every class whose requirements a PyTorch classifier meets.

Radius, norm, goal and labels follow from the cell. Which norms an attack takes is found out by asking it; those of
attacks that take none are facts of `art_facts`.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, ClassVar

import numpy as np
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
    PluginError,
    Provider,
    SampleRNG,
    Targeted,
    ThreatModel,
    adapted,
    arguments,
)

from ..references import ART
from .art_calls import call_of, matrices
from .art_facts import (
    DECISIONS,
    FLAT,
    GUIDED,
    IMAGE_SIZE,
    ORDERS,
    PATCHES,
    RADIUS,
    TARGETED_ONLY,
    TRIED_WITH,
    VIDEOS,
    norms_by_name,
)
from .common import AdaptedAttack, installed, network, outputs, unrounded, within
from .twins import ART as ART_TWINS
from .twins import Twins

GIVEN = (
    *("estimator", "classifier", "norm", "eps", "targeted", "verbose", "summary_writer", "estimator_orig"),
    *("net_size", "noise_size", "patch_shape", "parallel_pool_size", "target"),
)
"""Parameters that follow from the cell, or that have no meaning here."""


@dataclass(frozen=True)
class ARTAttack(AdaptedAttack):
    """An attack of ART on its PyTorch classifier."""

    libraries: ClassVar[tuple[str, ...]] = ("adversarial-robustness-toolbox",)
    references: ClassVar[tuple[Any, ...]] = (ART,)
    adapts: ClassVar[Any]

    @property
    def title(self) -> str:
        return f"art:{self.name}"

    def unsuited(self, budget: BudgetSpec, info: DataInfo) -> str:
        channels = 3 if "hue_epsilon" in inspect.signature(self.adapts).parameters else None
        return f"needs images of {channels} channels" if channels and info.channels != channels else ""

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        return self.crafted(classifier, images, goal, budget)[1]

    def crafted(
        self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget
    ) -> tuple[Tensor, Tensor, None]:
        """What the library returns, and the same drawn back to the radius where it was not told one."""
        flat = self.name in FLAT
        # Of two classes some attacks believe that they have one output, whatever they have.
        classes = max(outputs(classifier), 3 if _refuses_two(self.adapts) else 2)
        module = network(classifier, classes=classes, probabilities=_wants_probabilities(self.adapts))
        shape = tuple(images.shape[1:])
        estimator = estimator_of(
            nn.Sequential(nn.Unflatten(1, shape), module) if flat else module,
            (images[0].numel(),) if flat else shape,
            classes,
            budget.box,
            "gpu" if images.is_cuda else "cpu",
        )
        if self.name in PATCHES:
            estimator._clip_values = np.asarray(budget.box)  # they are checked to be floats, which float32 is not
        pixels = images.cpu().numpy()
        with installed("ART"), matrices():
            attack = self.adapts(estimator, **self._settings(images, goal, budget, estimator))
            found = call_of(self.name)(attack, self, pixels.reshape(len(pixels), -1) if flat else pixels, goal)
        raw = torch.as_tensor(np.asarray(found, dtype=np.float32), device=images.device).view_as(images)
        raw = unrounded(raw, budget)
        return raw, raw if self._told(budget) else within(images, raw, budget), None

    def _told(self, budget: Budget) -> bool:
        """Whether the library was told the radius, and so answers for it."""
        return budget.eps is not None and _radius_of(self.adapts) is not None

    def _settings(self, images: Tensor, goal: Goal, budget: Budget, estimator: Any) -> dict[str, Any]:
        """What the attack is created with, but for the estimator."""
        taken = inspect.signature(self.adapts).parameters
        settings = arguments(self)
        for name, value in settings.items():
            if isinstance(value, Length):
                settings[name] = value.resolve(eps=budget.eps)
        sizes = {"net_size": images.shape[-2:], "noise_size": images.shape[-2:], "patch_shape": images.shape[1:]}
        known: dict[str, Any] = {name: tuple(map(int, size)) for name, size in sizes.items()}
        known |= {"verbose": False, "targeted": isinstance(goal, Targeted)}
        if "norm" in taken and budget.norm in ORDERS and self._asks_norm:
            known["norm"] = ORDERS[budget.norm]
        radius = _radius_of(self.adapts)
        if radius is not None and budget.eps is not None:
            known[radius] = IMAGE_SIZE[self.name](budget.eps, images) if self.name in IMAGE_SIZE else budget.eps
            if radius == "attacker":
                steps = {"eps": budget.eps, "eps_step": budget.eps / 4, "max_iter": 10, "verbose": False}
                evasion: Any = importlib.import_module("art.attacks.evasion")
                known[radius] = evasion.ProjectedGradientDescent(estimator, **steps, targeted=known["targeted"])
        if "target" in taken and isinstance(goal, Targeted):
            known["target"] = int(goal.labels[0])
        return settings | {name: value for name, value in known.items() if name in taken}

    @property
    def _asks_norm(self) -> bool:
        return self.threat.norms != {"unbounded"}


class ART_(Provider):  # noqa: N801 - the class of a library whose name is an abbreviation
    """The evasion attacks of ART."""

    prefix: ClassVar[str] = "art"
    twins: ClassVar[Twins] = ART_TWINS
    tried_with: ClassVar[Mapping[str, Mapping[str, Any]]] = TRIED_WITH
    kind: ClassVar[str] = "attack"
    library: ClassVar[str] = "adversarial-robustness-toolbox"

    def names(self) -> Iterable[str]:
        return _classes()

    def plugin(self, name: str) -> type[ARTAttack]:
        return _made(_classes()[name])


def __getattr__(name: str) -> type[ARTAttack]:
    """The class of an attack, for processes that are handed an instance."""
    if not name.startswith("_") and name in (found := _classes()):
        return _made(found[name])
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def estimator_of(module: nn.Module, shape: tuple[int, ...], classes: int, box: Any, device: str = "cpu") -> Any:
    """ART's classifier of a network."""
    classification: Any = importlib.import_module("art.estimators.classification")
    return classification.PyTorchClassifier(
        model=module.eval(),
        loss=nn.CrossEntropyLoss(),
        input_shape=shape,
        nb_classes=classes,
        clip_values=box,
        device_type=device,
    )


@cache
def _source(of: Any) -> str:
    """The code of an attack and of the library's classes that it is derived from."""
    own = [each for each in of.__mro__ if each.__module__.startswith("art.attacks.evasion")]
    return " ".join(inspect.getsource(each) for each in own)


def _wants_probabilities(of: Any) -> bool:
    """Whether an attack insists on probabilities in place of logits."""
    return bool(re.search(r"requires an? (classifier|estimator) predicting\s+probabilities", _source(of)))


def _refuses_two(of: Any) -> bool:
    """Whether an attack takes every network of two classes for one with a single output."""
    return "return_one_hot=False" in _source(of) and "single output" in _source(of)


@cache
def _classes() -> dict[str, Any]:
    """The attacks whose requirements a PyTorch classifier meets."""
    evasion: Any = importlib.import_module("art.attacks.evasion")
    base: Any = importlib.import_module("art.attacks.attack").EvasionAttack
    torch_: Any = importlib.import_module("art.estimators.classification").PyTorchClassifier

    def met(requirement: Any) -> bool:
        each = requirement if isinstance(requirement, tuple) else (requirement,)
        return any(issubclass(torch_, one) for one in each)

    found: dict[str, Any] = {n: v for n, v in vars(evasion).items() if isinstance(v, type) and issubclass(v, base)}
    return {n: v for n, v in sorted(found.items()) if all(map(met, v._estimator_requirements))}


@cache
def _made(of: Any) -> type[ARTAttack]:
    name = of.__name__
    taken = inspect.signature(of).parameters
    estimator = str(next(iter(taken.values())).annotation)
    if "TensorFlow" in name or ("TensorFlow" in estimator and "PyTorch" not in estimator):
        raise PluginError("is written for TensorFlow")
    if name in VIDEOS:
        raise PluginError("is for videos")
    if "OBJECT_DETECTOR" in estimator and "CLASSIFIER" not in estimator:
        raise PluginError("is for detectors of objects, not for classifiers")
    fields: dict[str, tuple[Any, Any]] = {}
    if (radius := _radius_of(of)) is not None and "eps_step" in taken:
        share = Fraction(taken["eps_step"].default / taken[radius].default).limit_denominator(100)
        fields["eps_step"] = (Length, Length.parse(f"{share.numerator}*eps/{share.denominator}"))
    if "step_size" in taken and radius is not None:
        fields["step_size"] = (
            Length,
            Length.parse("eps/10"),
        )  # by default it takes an optimiser that a grid cannot give
    if name == "FeatureAdversariesNumpy":
        fields["layer"] = (int, -1)  # its default is refused by the class itself
    mixin: Any = importlib.import_module("art.estimators.classification.classifier").ClassGradientsMixin
    if "batch_size" in taken and mixin in of._estimator_requirements:
        fields["batch_size"] = (int, 32)  # its own default of 1 gives the same images, much later
    if name in PATCHES:
        fields["scale"] = (float, 0.4)
    return adapted(
        ARTAttack,
        of,
        __name__,
        given={*GIVEN, radius} if radius else set(GIVEN) - {"eps"},
        fields=fields,
        renamed={"batch_size": "batch"},
        threat=_threat(of),
    )


def _radius_of(of: Any) -> str | None:
    """The parameter that takes the radius of a budget; None where the library is told none."""
    taken = inspect.signature(of).parameters
    if of.__name__ in RADIUS:
        return RADIUS[of.__name__]
    by_own_distance = "norm" in taken and not isinstance(taken["norm"].default, (int, float))
    return "eps" if "eps" in taken and not by_own_distance else None


def _threat(of: Any) -> ThreatModel:
    taken = inspect.signature(of).parameters
    mixins: Any = importlib.import_module("art.estimators.classification.classifier")
    loss: Any = importlib.import_module("art.estimators.estimator").LossGradientsMixin
    asked = {loss, mixins.ClassGradientsMixin} & set(of._estimator_requirements)
    taken_here = re.search(r"(loss|class)_gradient|\.backward\(|autograd", _source(of))
    white_box = bool(asked or taken_here or of.__name__ in PATCHES)
    knowledge = "white-box" if white_box else "decision-based" if of.__name__ in DECISIONS else "score-based"
    norms = _norms(of)
    also = "targeted" in taken or of.__name__ in GUIDED or "attacker" in RADIUS.get(of.__name__, "")
    goals = {"untargeted"} | ({"targeted"} if also else set())
    return ThreatModel(
        norms=norms,
        goals={"targeted"} if of.__name__ in TARGETED_ONLY else goals,
        knowledge=knowledge,  # type: ignore[arg-type]
        tasks={"multiclass"},
        minimal=_radius_of(of) is None and norms != {"unbounded"},
    )


def _norms(of: Any) -> set[Norm]:
    """The norms that an attack accepts: it is created with each, since the library checks them there."""
    taken = inspect.signature(of).parameters
    if "norm" not in taken or not isinstance(taken["norm"].default, (int, float)):
        return norms_by_name(of.__name__, told=_radius_of(of) is not None)
    with torch.random.fork_rng(devices=[]):
        estimator = estimator_of(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), (3, 2, 2), 2, (0.0, 1.0))
    found: set[Norm] = set()
    for norm, order in ORDERS.items():
        try:
            of(estimator, norm=order)
        except (ValueError, NotImplementedError, TypeError):
            continue
        found.add(norm)
    return found or {"unbounded"}
