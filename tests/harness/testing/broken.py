"""Plugins that break one rule each, as a local plugin file."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from medrobust import (
    PENULTIMATE,
    Attack,
    Budget,
    Classifier,
    DataInfo,
    Dataset,
    DataSource,
    Detector,
    Features,
    Goal,
    ImageData,
    IterativeAttack,
    Learning,
    Model,
    Preprocessing,
    Probe,
    RandomPreprocessing,
    SampleRNG,
    Shape,
    State,
    TensorScore,
    ThreatModel,
    Training,
    TrainingDefense,
    UniversalAttack,
    Untargeted,
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


class Silent(nn.Module):
    """A transformation that does something else in each batch."""

    def __init__(self, inner: nn.Module, fault: str) -> None:
        super().__init__()
        self.inner, self.fault = inner, fault

    def forward(self, images: Tensor) -> Tensor:
        if self.fault == "batches":
            images = images - images.mean()
        if self.fault == "seed":
            images = images + 0.1 * torch.randn_like(images)
        if self.fault == "model untouched":
            images.mul_(0.9)
        logits: Tensor = self.inner(images)
        return logits.softmax(dim=1)[:, :1] if self.fault == "logits" else logits


@dataclass(frozen=True)
class Filter(Preprocessing):
    """A transformation with a fault.

    Attributes:
        fault: what is wrong with it; nothing, if empty.
    """

    name: ClassVar[str] = "filter"
    fault: str = ""

    def wrap(self, module: nn.Module) -> nn.Module:
        if self.fault == "model untouched weights":
            next(module.parameters()).data.mul_(1.01)
        return Silent(module, self.fault)


@dataclass(frozen=True)
class Tremble(RandomPreprocessing):
    """Noise that is not drawn from the host's streams."""

    name: ClassVar[str] = "tremble"

    def transform(self, images: Tensor, rng: SampleRNG) -> Tensor:
        return images + torch.from_numpy(np.random.default_rng().normal(0, 0.1, images.shape)).to(images)


@dataclass(frozen=True)
class Lesson(TrainingDefense):
    """A training on adversarial images, with a fault.

    Attributes:
        rounds: number of epochs (cumulative).
        fault: what is wrong with it; nothing, if empty.
        file: a file that it reads.
    """

    name: ClassVar[str] = "lesson"
    rounds: int = cumulative(2)
    fault: str = ""
    file: str = ""

    def train(self, training: Training) -> Iterator[nn.Module]:
        if self.fault == "training images":
            Path(self.file).read_bytes()

        def shifted(images: Tensor, labels: Tensor, index: Tensor) -> Tensor:
            gradient = training.classifier(live=True).gradient(images, Untargeted(labels).loss).gradient
            return (images + 4 / 255 * gradient.sign()).clamp(0, 1)

        begin = 0 if self.fault == "continued" else training.done
        for number in range(begin, self.rounds):
            drawn = int(np.random.default_rng().integers(2**31)) if self.fault == "training seed" else number
            if self.fault != "trains":
                training.fit(training.recipe, training.seed + drawn, after=shifted)
            yield training.module


@dataclass(frozen=True)
class Middle(Detector):
    """Distance from the mean of clean features, with a fault.

    Attributes:
        fault: what is wrong with it; nothing, if empty.
    """

    name: ClassVar[str] = "middle"
    fault: str = ""

    def fit(self, learning: Learning) -> State:
        if self.fault == "features untouched":
            learning.clean.layers[PENULTIMATE][:] = 0
        drawn = np.random.default_rng().normal() if self.fault == "seed" else 0.0
        mean = learning.clean.layers[PENULTIMATE].astype(np.float64).mean(axis=0) + drawn
        return {"mean": mean.tolist() if self.fault == "state" else mean}

    def score(self, state: State, seen: Features) -> Any:
        features = seen.layers[PENULTIMATE].astype(np.float64)
        middle = features.mean(axis=0) if self.fault == "each image alone" else np.asarray(state["mean"])
        apart = np.linalg.norm(features - middle, axis=1)
        if self.fault == "scores":
            return apart[:, None]
        return -apart if self.fault == "adversarial scores more" else apart

    def differentiable(self, state: State) -> TensorScore | None:
        if self.fault in ("each image alone", "state", "adversarial scores more", "scores", "features untouched"):
            return None
        factor = 2.0 if self.fault == "differentiable" else 1.0

        def score(layers: Any, logits: Tensor) -> Tensor:
            return factor * (layers[PENULTIMATE] - torch.as_tensor(state["mean"])).norm(dim=1)

        return score


class Body(nn.Module):
    """A small network with one of the usual mistakes."""

    def __init__(self, shape: Shape, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.convolution = nn.Conv2d(shape.channels, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, shape.outputs)

    def forward(self, images: Tensor) -> Tensor:
        if self.fault == "images untouched":
            images.sub_(0.5)
        if self.fault == "gradient":
            images = images.detach()
        shown = (images - 0.5) / 0.25
        if self.fault == "normalisation":
            shown = (shown - 0.5) / 0.25
        if self.fault == "normalisation of grey levels":
            shown = (images - 127.5) / 64
        maps = self.convolution(shown)
        if self.fault == "evaluation mode":
            self.norm.train()
        maps = torch.relu(self.norm(maps))
        logits: Tensor = self.head(maps.mean(dim=(2, 3)))
        if self.fault == "learns" and not self.training:
            logits = logits.roll(1, dims=1)
        return logits.softmax(dim=1) if self.fault == "no probabilities" else logits


@dataclass(frozen=True)
class Network(Model):
    """A small network with one of the usual mistakes.

    Attributes:
        fault: which; none, if empty.
    """

    name: ClassVar[str] = "network"
    fault: str = ""

    def build(self, shape: Shape) -> nn.Module:
        if self.fault == "logits":
            return Body(Shape(shape.channels, shape.height, shape.width, shape.outputs + 1), "")
        if self.fault == "every form":
            return Body(Shape(3, shape.height, shape.width, shape.outputs), "")
        if self.fault == "every form outputs":
            return Body(replace(shape, outputs=max(2, shape.outputs)), "")
        body = Body(shape, self.fault)
        if self.fault == "seed":
            body.head.bias.data.add_(float(np.random.default_rng().normal()))
        return body


@dataclass(frozen=True)
class Album(Dataset):
    """Random images with labels, with a fault.

    Attributes:
        fault: what is wrong with it; nothing, if empty.
    """

    name: ClassVar[str] = "album"
    fault: str = ""

    def describe(self, source: DataSource) -> DataInfo:
        if self.fault == "missing files":
            assert source.root is not None
            (source.root / "album" / "list.csv").read_text()
        return DataInfo(("a", "b"), (8, 8), 1, splits=("train", "test"), grouped=True)

    def load(self, split: str, source: DataSource) -> ImageData:
        rng = np.random.default_rng(None if self.fault == "twice the same" else len(split))
        images = rng.integers(0, 255, (8, 8, 8, 1), dtype=np.uint8)
        labels = np.arange(8, dtype=np.int64) % (1 if self.fault == "every class" else 2)
        ids = np.array([f"{split}-{number}" for number in range(8)])
        groups = np.array([f"{split}-patient-{number // 2}" for number in range(8)])
        if self.fault == "arrays":
            labels = labels + 1
        if self.fault == "ids and patients":
            groups[:2] = "patient-0"
        return ImageData(images, labels, ids, groups)

    def members(self, source: DataSource) -> Any:
        if self.fault != "members":
            return None
        from medrobust import Members

        return {split: Members([f"{number}" for number in range(8)]) for split in ("train", "test")}


@dataclass(frozen=True)
class Listed(Dataset):
    """Images in an array on disk, of which the fingerprint says nothing."""

    name: ClassVar[str] = "listed"

    def describe(self, source: DataSource) -> DataInfo:
        source.find("listed/images.npy", what="the images")
        return DataInfo(("a", "b"), (8, 8), 1, splits=("train",))

    def load(self, split: str, source: DataSource) -> ImageData:
        images = np.load(source.find("listed/images.npy", what="the images"))
        return ImageData(images, np.arange(len(images)) % 2, np.arange(len(images)).astype(str))


@dataclass(frozen=True)
class Look(Probe):
    """The perturbations, with a fault.

    Attributes:
        fault: what is wrong with it; nothing, if empty.
    """

    name: ClassVar[str] = "look"
    fault: str = ""

    def select(self, labels: Any, count: int) -> Any:
        if self.fault == "selection without labels":
            return np.flatnonzero(labels == labels)
        return np.array([0, 0]) if self.fault == "selection" else np.arange(count)

    def measure(self, classifier: Classifier, images: Tensor, adversarial: Tensor) -> dict[str, Any]:
        if self.fault == "images and model untouched":
            images.zero_()
        difference = (adversarial - images).numpy()
        if self.fault == "arrays of colour":
            difference = difference / difference[:, 1:].std()
        if self.fault == "twice the same":
            difference = difference + np.random.default_rng().normal(size=difference.shape)
        return {"difference": difference[:2] if self.fault == "arrays" else difference}


@dataclass(frozen=True)
class Wordless(Attack):
    name: ClassVar[str] = "wordless"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        return Step().perturb(classifier, images, goal, budget, rng)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Unequal(Preprocessing):
    """No two of these are equal."""

    name: ClassVar[str] = "unequal"

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def wrap(self, module: nn.Module) -> nn.Module:
        return nn.Sequential(module)


@dataclass(frozen=True)
class Undeclared(Attack):
    """A threat model with a norm that nobody knows."""

    name: ClassVar[str] = "undeclared"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf", "L-inf"})  # type: ignore[arg-type]

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        return Step().perturb(classifier, images, goal, budget, rng)  # type: ignore[no-any-return]
