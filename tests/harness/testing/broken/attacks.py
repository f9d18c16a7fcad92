"""Attacks that break one rule each."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from medrobust import (
    Attack,
    Budget,
    Classifier,
    Goal,
    IterativeAttack,
    SampleRNG,
    ThreatModel,
    UniversalAttack,
    cumulative,
)


@dataclass(frozen=True)
class Step(Attack):
    """One signed step, with a fault.

    Attributes:
        fault: what is wrong with it; nothing, if empty.
    """

    name: ClassVar[str] = "step"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
    fault: str = ""

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Any:
        assert budget.eps is not None
        gradient = classifier.gradient(images, goal.loss).gradient
        eps = budget.eps
        match self.fault:
            case "form":
                return (images + eps * gradient.sign()).clamp(0, 1).double()
            case "form nan":
                return images + float("nan") * gradient
            case "budget":
                return (images + 1.5 * eps * gradient.sign()).clamp(0, 1)
            case "box":
                return images + eps * gradient.sign()
            case "images untouched":
                return images.add_(eps * gradient.sign()).clamp_(0, 1).clone()
            case "model untouched":
                classifier.module.train()
            case "model untouched weights":
                next(classifier.module.parameters()).data.mul_(1.01)
            case "seed":
                eps *= 1 - 0.1 * float(np.random.default_rng().random())
            case "random numbers":
                gradient = gradient + 1e-9 * random.random()
            case "batches":
                gradient = gradient.mean(dim=0, keepdim=True).expand_as(images)
            case "radius 0":
                return (images + (eps + 1 / 255 * (eps == 0)) * gradient.sign()).clamp(0, 1)
            case "radius 0 nan":
                return (images + eps / eps * eps * gradient.sign()).clamp(0, 1) if eps else images / 0 * 0
            case "stronger than noise":
                gradient = -gradient
        return (images + eps * gradient.sign()).clamp(0, 1)


@dataclass(frozen=True)
class Steps(IterativeAttack):
    """Signed steps whose length depends on how many there are.

    Attributes:
        steps: number of steps (cumulative).
    """

    name: ClassVar[str] = "steps"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
    steps: int = cumulative(4)

    def iterates(
        self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG
    ) -> Iterator[Tensor]:
        assert budget.eps is not None
        point = images.clone()
        for _ in range(self.steps):
            point = point + budget.eps / self.steps * classifier.gradient(point, goal.loss).gradient.sign()
            point = point.clamp(images - budget.eps, images + budget.eps).clamp(0, 1)
            yield point


@dataclass(frozen=True)
class Peeking(Attack):
    """Declares that it asks for scores only, and takes a gradient."""

    name: ClassVar[str] = "peeking"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"}, knowledge="score-based")

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        return Step().perturb(classifier, images, goal, budget, rng)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Asking(Attack):
    """Declares three queries an image, and makes ten."""

    name: ClassVar[str] = "asking"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"}, knowledge="score-based", queries=3)

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        assert budget.eps is not None
        best, loss = images, goal.loss(classifier.logits(images))
        for _ in range(9):
            tried = (images + budget.eps * rng.normal(images.shape[1:]).sign()).clamp(0, 1)
            value = goal.loss(classifier.logits(tried))
            best, loss = torch.where((value > loss).view(-1, 1, 1, 1), tried, best), torch.maximum(value, loss)
        return best


@dataclass(frozen=True)
class Timid(Attack):
    """Declares that it finds the smallest perturbation, and finds none."""

    name: ClassVar[str] = "timid"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"}, minimal=True)

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        within = Budget(budget.norm, 1e-4 if budget.eps is None else budget.eps, budget.box)
        return Step().perturb(classifier, images, goal, within, rng)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Everywhere(UniversalAttack):
    """One perturbation for all images, with a fault.

    Attributes:
        fault: what is wrong with it; nothing, if empty.
    """

    name: ClassVar[str] = "everywhere"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
    fault: str = ""

    def fit(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        assert budget.eps is not None
        gradient = classifier.gradient(images[:], goal.loss).gradient
        if self.fault == "form":
            return budget.eps * gradient.sign()
        return budget.eps * gradient.mean(dim=0).sign() * (2 if self.fault == "budget" else 1)


@dataclass(frozen=True)
class Wordless(Attack):
    name: ClassVar[str] = "wordless"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        return Step().perturb(classifier, images, goal, budget, rng)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Undeclared(Attack):
    """A threat model with a norm that nobody knows."""

    name: ClassVar[str] = "undeclared"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf", "L-inf"})  # type: ignore[arg-type]

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        return Step().perturb(classifier, images, goal, budget, rng)  # type: ignore[no-any-return]
