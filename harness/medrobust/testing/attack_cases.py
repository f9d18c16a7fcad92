"""An attack under test: run on every kind of model and images, as the host runs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..contracts import (
    AnyAttack,
    Attack,
    Budget,
    Classifier,
    CraftingImages,
    Detection,
    DetectorAttack,
    Ensemble,
    Goal,
    IterativeAttack,
    IterativeUniversalAttack,
    Norm,
    SampleRNG,
    ThreatModel,
    UniversalAttack,
    batch_of,
    parts_of,
    uses_global_rng,
)
from ..engine.models.classifier import TorchClassifier
from ..engine.numerics import global_seed
from .rules import LeftOut
from .situations import COUNT, SITUATIONS, Situation, streams, tiny_images

RADII: dict[Norm, float] = {"linf": 8 / 255, "l2": 0.5, "l1": 4.0, "l0": 12.0}
"""Budgets of the tests, in pixels of [0, 1]; l0 counts values."""


@dataclass(frozen=True)
class SignStep(Attack):
    """One step along the sign of the gradient, for attacks that are made of another one."""

    name: ClassVar[str] = "sign-step"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        step = (budget.eps or 0.0) * classifier.gradient(images, goal.loss).gradient.sign()
        return images + step if budget.box is None else (images + step).clamp(*budget.box)


@dataclass(frozen=True)
class MeanSign(UniversalAttack):
    """The sign of the mean gradient, for defenses that are made of a universal attack."""

    name: ClassVar[str] = "mean-sign"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def fit(self, classifier: Classifier, images: CraftingImages, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        return (budget.eps or 0.0) * classifier.gradient(images[:], goal.loss).gradient.mean(dim=0).sign()


@dataclass(frozen=True)
class Run:
    """One run of an attack, and what it left behind.

    Attributes:
        returned: what it returned: images, or one perturbation.
        classifier: the classifier it was given, which has counted its passes.
        state: the network's state before and after the run.
        images: the images before and after.
    """

    returned: Any
    classifier: TorchClassifier
    state: tuple[dict[str, Any], dict[str, Any]]
    images: tuple[Tensor, Tensor]


@dataclass
class AttackCase:
    """An attack with the situations that its threat model admits.

    Attributes:
        attack: the attack.
        slack: by how much it may leave the budget, in linf per pixel, as a grid would allow an attack that rounds.
    """

    attack: AnyAttack
    slack: float = 0.0
    _runs: dict[Any, Run] = field(default_factory=dict)

    @property
    def universal(self) -> bool:
        """Whether it returns one perturbation for all images."""
        return isinstance(self.attack, UniversalAttack)

    @property
    def control(self) -> bool:
        """Whether it knows nothing of the model, as noise does."""
        return self.attack.threat.knowledge == "none"

    @property
    def minimal(self) -> bool:
        """Whether it and all it is made of find the smallest perturbation."""
        return all(part.threat.minimal for part in parts_of(self.attack))

    def norms(self) -> list[Norm]:
        """Norms that it and all it is made of support."""
        parts = list(parts_of(self.attack))
        return [norm for norm in RADII if all(norm in part.threat.norms for part in parts)]

    def goals(self) -> list[bool]:
        """Whether targeted, for each goal that it and all it is made of support."""
        parts = list(parts_of(self.attack))
        names = {False: "untargeted", True: "targeted"}
        return [targeted for targeted, name in names.items() if all(name in part.threat.goals for part in parts)]

    def situations(self) -> list[Situation]:
        """Those that its threat model admits.

        Raises:
            LeftOut: if there is none.
        """
        parts = list(parts_of(self.attack))
        found = [s for s in SITUATIONS if all(s.task in part.threat.tasks for part in parts)]
        if not found or not self.norms() or not self.goals():
            raise LeftOut("its threat model admits no norm, goal or task of these tests")
        return found

    def every(self) -> Iterator[tuple[Situation, Norm, bool]]:
        """Each situation with the first norm and goal, and each norm and goal with the first situation."""
        first, *others = self.situations()
        for norm in self.norms():
            for targeted in self.goals():
                yield first, norm, targeted
        for situation in others:
            yield situation, self.norms()[0], self.goals()[0]

    def one(self) -> tuple[Situation, Norm, bool]:
        """The first of them."""
        return next(self.every())

    def run(
        self,
        situation: Situation,
        norm: Norm,
        targeted: bool,
        *,
        eps: float | None = -1.0,
        order: Sequence[int] | None = None,
        batches: Sequence[int] | None = None,
        seed: int = 0,
        attack: AnyAttack | None = None,
        fresh: bool = False,
    ) -> Run:
        """A run on the images of a situation; one with equal arguments is made once.

        Args:
            eps: the radius; that of the tests if negative, None for the smallest perturbation.
            order: numbers of the images, as they are given.
            batches: how many are given at a time; all at once by default.
            attack: another one in place of the case's own.
            fresh: run again, whatever ran before.
        """
        key = (situation, norm, targeted, eps, tuple(order or ()), tuple(batches or ()), seed, attack)
        if fresh or key not in self._runs:
            radius = RADII[norm] if eps is not None and eps < 0 else eps
            budget = Budget(norm, radius, slack=self.slack)
            found = _run(attack or self.attack, situation, budget, targeted, order, batches, seed)
            if fresh:
                return found
            self._runs[key] = found
        return self._runs[key]


def _run(
    attack: AnyAttack,
    situation: Situation,
    budget: Budget,
    targeted: bool,
    order: Sequence[int] | None,
    batches: Sequence[int] | None,
    seed: int,
) -> Run:
    classifier = situation.classifier()
    index = torch.as_tensor(list(order) if order is not None else range(len(situation.ids)))
    images, goal = situation.images[index], situation.goal(targeted=targeted)[index]
    rng = streams([situation.ids[number] for number in index.tolist()], seed)
    before, kept = snapshot(classifier), images.clone()
    sizes = list(batches or [batch_of(attack) or len(index)])
    while sum(sizes) < len(index):
        sizes.append(min(sizes[-1], len(index) - sum(sizes)))
    parts = []
    for rows in torch.arange(len(index)).split([min(size, len(index)) for size in sizes]):
        drawn = global_seed(rng[rows].seed()) if uses_global_rng(attack) else nullcontext()
        with drawn:
            given = images if len(rows) == len(index) else images[rows]
            parts.append(perturbed(attack, classifier, given, goal[rows], budget, rng[rows]))
    returned = parts[0] if len(parts) == 1 else torch.cat(parts)
    return Run(returned, classifier, (before, snapshot(classifier)), (kept, images))


def perturbed(
    attack: AnyAttack, classifier: TorchClassifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG
) -> Any:
    """What an attack of any kind returns: images, or of a universal one the perturbation."""
    match attack:
        case UniversalAttack():
            return attack.fit(classifier, images, goal, budget, rng)
        case DetectorAttack():
            return attack.evade(classifier, _detection(classifier, images), images, goal, budget, rng)
        case Attack():
            return attack.perturb(classifier, images, goal, budget, rng)
        case Ensemble():
            return _worst(attack.members(classifier.num_classes), classifier, images, goal, budget, rng)
    raise LeftOut(f"{type(attack).__name__} is no attack that the host runs")


def _worst(
    members: Sequence[Attack], classifier: TorchClassifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG
) -> Tensor:
    """Of each image, what the member achieved that raised the loss most."""
    best, worst = images.clone(), torch.full((len(images),), -torch.inf)
    for number, member in enumerate(members):
        found = perturbed(member, classifier, images, goal, budget, rng.restarted(number))
        loss = goal.loss(classifier.confirm(found))
        better = loss > worst
        best[better], worst[better] = found[better], loss[better]
    return best


def _detection(classifier: TorchClassifier, images: Tensor) -> Detection:
    """A detector that knows other clean images, for attacks that know it."""
    layer = classifier.layers[0]
    known = tiny_images(COUNT, images.shape[1], seed=5).to(images.device)
    mean = classifier.features(known, layer).flatten(1).mean(dim=0)

    def loss(features: Tensor, logits: Tensor) -> Tensor:
        return (features.flatten(1) - mean).square().sum(dim=1)

    def score(given: Tensor) -> Tensor:
        return loss(classifier.features(given, layer), classifier.logits(given))

    return Detection(layer, score, loss, of_score=True)


def iterates_of(attack: AnyAttack, situation: Situation, budget: Budget, targeted: bool) -> list[Tensor]:
    """What a cumulative attack yields, one by one."""
    assert isinstance(attack, IterativeAttack | IterativeUniversalAttack)
    rng, classifier = streams(situation.ids), situation.classifier()
    with global_seed(rng.seed()) if uses_global_rng(attack) else nullcontext():
        goal = situation.goal(targeted=targeted)
        return [each.clone() for each in attack.iterates(classifier, situation.images, goal, budget, rng)]


def snapshot(classifier: TorchClassifier) -> dict[str, Any]:
    """All of a network that an attack could change: weights and buffers, modes, gradients."""
    module = classifier.original
    return {
        **{f"weights '{name}'": value.clone() for name, value in module.state_dict().items()},
        **{f"mode of '{name or 'the network'}'": m.training for name, m in module.named_modules()},
        **{f"requires_grad of '{name}'": p.requires_grad for name, p in module.named_parameters()},
        **{f"gradient of '{name}'": p.grad is not None for name, p in module.named_parameters()},
    }
