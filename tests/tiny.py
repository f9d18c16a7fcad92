"""Tiny plugins for tests, loaded as a local plugin file: the core is tested without any bundled plugin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from medrobust import (
    PENULTIMATE,
    AnyAttack,
    Attack,
    Budget,
    Classifier,
    DataError,
    DataInfo,
    Dataset,
    DataSource,
    DerivedAttack,
    Detector,
    Ensemble,
    Features,
    Goal,
    ImageData,
    IterativeAttack,
    Learning,
    Length,
    Model,
    Preprocessing,
    Probe,
    RandomPreprocessing,
    Recipe,
    Reference,
    SampleRNG,
    Shape,
    State,
    Task,
    ThreatModel,
    Training,
    TrainingDefense,
    UniversalAttack,
    Untargeted,
    cumulative,
)

NORMS = {"linf", "l2"}
COUNTS = {"train": 40, "val": 16, "test": 24}
RECIPE = Recipe(learning_rate=0.05, epochs=4, batch_size=16)
QUARTER = Length.parse("eps/4")


@dataclass(frozen=True)
class Textures(Dataset):
    """Random textures whose class shows in the brightness of one corner; two images a patient.

    Attributes:
        size: side in pixels.
        channels: 1 or 3.
        classes: how many.
        multilabel: label vectors instead of classes.
        labelled: whether labels are there.
        empty_class: leave the last class out of the training images.
        shared: `ids` or `groups` that several splits have; `published`: such groups, by its own declaration.
    """

    name: ClassVar[str] = "textures"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (Reference(("N. Nobody",), "Textures from nowhere", "Nowhere", 2024),)
    licence: ClassVar[str] = "CC0"
    redistributable: ClassVar[bool] = True
    size: int = 8
    channels: int = 1
    classes: int = 2
    multilabel: bool = False
    labelled: bool = True
    empty_class: bool = False
    shared: str = ""

    def describe(self, source: DataSource) -> DataInfo:
        task: Task = "multilabel" if self.multilabel else "multiclass"
        names = tuple("abcdefgh"[: self.classes])
        published = self.shared == "published"
        return DataInfo(names, (self.size, self.size), self.channels, task, grouped=True, shared_groups=published)

    def load(self, split: str, source: DataSource) -> ImageData:
        count = COUNTS[split]
        rng = np.random.default_rng([count, self.size, self.channels])
        labels = np.arange(count) % self.classes
        if self.empty_class and split == "train":
            labels = labels % (self.classes - 1)
        images = rng.integers(60, 180, (count, self.size, self.size, self.channels), dtype=np.uint8)
        images[:, : self.size // 2, : self.size // 2] += (labels * 70 // (self.classes - 1)).astype(np.uint8)[
            :, None, None, None
        ]
        ids = np.array([f"{split}-{i}" for i in range(count)])
        groups = np.array([f"{split}-patient-{i // (2 * self.classes)}-{labels[i]}" for i in range(count)])
        if self.shared == "ids":
            ids = np.array([f"{i}" for i in range(count)])
        elif self.shared:
            groups[:4] = "patient-1"
        truth = np.eye(self.classes, dtype=np.int64)[labels] if self.multilabel else labels.astype(np.int64)
        return ImageData(images, truth if self.labelled else None, ids, groups)


@dataclass(frozen=True)
class Ward(Dataset):
    """A data set whose files are not there, or whose reading breaks.

    Attributes:
        fault: `absent`, `describe` (a defect of the plugin) or `load` (an unreadable image).
    """

    name: ClassVar[str] = "ward"
    revision: ClassVar[int] = 1
    fault: str = "absent"

    def describe(self, source: DataSource) -> DataInfo:
        if self.fault == "describe":
            raise KeyError("patients")
        if self.fault == "absent":
            source.find("ward/images", what="the ward's images")
        return DataInfo(("a", "b"), (8, 8), 1)

    def load(self, split: str, source: DataSource) -> ImageData:
        raise DataError(f"ward/{split}/x.png: unreadable; delete it or copy it again")


class Net(nn.Module):
    """One convolution and a linear head over a coarse grid of averages."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(shape.channels, 4, 3, padding=1)
        self.head = nn.Linear(4 * 4, shape.outputs)

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.relu(self.convolution((images - 0.5) * 4))
        pooled: Tensor = self.head(nn.functional.adaptive_avg_pool2d(maps, 2).flatten(1))
        return pooled


@dataclass(frozen=True)
class TinyNet(Model):
    """A network that fits in a fraction of a second.

    Attributes:
        fault: `nan` gives NaN as logits, `build` cannot be built.
    """

    name: ClassVar[str] = "tiny-net"
    revision: ClassVar[int] = 1
    recipe: Recipe = RECIPE
    fault: str = ""

    def build(self, shape: Shape) -> nn.Module:
        if self.fault == "build":
            raise ZeroDivisionError("no room for the kernel")
        net = Net(shape)
        return nn.Sequential(net, _NotANumber()) if self.fault == "nan" else net


class _NotANumber(nn.Module):
    def forward(self, logits: Tensor) -> Tensor:
        return logits if self.training else logits * float("nan")


@dataclass(frozen=True)
class Sign(Attack):
    """One step of length eps along the sign of the gradient (Goodfellow et al., 2015)."""

    name: ClassVar[str] = "sign"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        assert budget.eps is not None
        step = budget.eps * classifier.gradient(images, goal.loss).gradient.sign()
        return (images + step).clamp(*budget.box) if budget.box else images + step


@dataclass(frozen=True)
class Steps(IterativeAttack):
    """Several signed steps from a random point.

    Attributes:
        steps: number of steps (cumulative).
        step_size: length of a step.
    """

    name: ClassVar[str] = "steps"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
    steps: int = cumulative(4)
    step_size: Length = QUARTER

    def iterates(
        self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG
    ) -> Iterator[Tensor]:
        assert budget.eps is not None
        size = self.step_size.resolve(eps=budget.eps)
        point = images + rng.uniform(images.shape[1:], -budget.eps / 2, budget.eps / 2)
        for _ in range(self.steps):
            moved = point + size * classifier.gradient(point, goal.loss).gradient.sign()
            point = moved.clamp(images - budget.eps, images + budget.eps).clamp(0, 1)
            yield point


@dataclass(frozen=True)
class Hum(Attack):
    """Uniform noise within the radius; knows nothing of the model."""

    name: ClassVar[str] = "hum"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms=NORMS, goals={"untargeted"}, knowledge="none")

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        assert budget.eps is not None
        radius = budget.eps if budget.norm == "linf" else budget.eps / images[0].numel() ** 0.5
        return (images + rng.uniform(images.shape[1:], -radius, radius)).clamp(0, 1)


@dataclass(frozen=True)
class Halved(DerivedAttack):
    """Half the perturbation of another attack."""

    name: ClassVar[str] = "halved"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms=NORMS)
    of: AnyAttack = Sign()

    def derive(self, images: Tensor, adversarial: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        return (images + adversarial) / 2


@dataclass(frozen=True)
class AllOf(Ensemble):
    """Several attacks as one, in the order given."""

    name: ClassVar[str] = "all-of"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms=NORMS)
    of: tuple[Attack, ...]

    @property
    def made_of(self) -> tuple[AnyAttack, ...]:
        return self.of

    def members(self, classes: int) -> Sequence[Attack]:
        return self.of


@dataclass(frozen=True)
class OneForAll(UniversalAttack):
    """The sign of the mean gradient as one perturbation for all images."""

    name: ClassVar[str] = "one-for-all"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
    passes: int = 1

    def fit(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        assert budget.eps is not None
        return budget.eps * classifier.gradient(images[:], goal.loss).gradient.mean(dim=0).sign()


@dataclass(frozen=True)
class Blur(Preprocessing):
    """A mean filter in front of the model."""

    name: ClassVar[str] = "blur"
    revision: ClassVar[int] = 1
    width: int = 3

    def wrap(self, module: nn.Module) -> nn.Module:
        return nn.Sequential(nn.AvgPool2d(self.width, stride=1, padding=self.width // 2), module)


@dataclass(frozen=True)
class Jitter(RandomPreprocessing):
    """Uniform noise in front of the model, by the host's streams.

    Attributes:
        amount: largest change of a pixel.
    """

    name: ClassVar[str] = "jitter"
    revision: ClassVar[int] = 1
    amount: float = 0.2

    def transform(self, images: Tensor, rng: SampleRNG) -> Tensor:
        return images + rng.uniform(images.shape[1:], -self.amount, self.amount)


class _Shaken(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> Tensor:
        moved: Tensor = self.module(images + 0.2 * torch.rand_like(images) - 0.1 + 0.1 * np.random.rand())  # noqa: NPY002
        return moved


@dataclass(frozen=True)
class Shaken(Preprocessing):
    """Noise from the global generators of torch and numpy."""

    name: ClassVar[str] = "shaken"
    revision: ClassVar[int] = 1
    stochastic: ClassVar[bool] = True

    def wrap(self, module: nn.Module) -> nn.Module:
        return _Shaken(module)


@dataclass(frozen=True)
class Drilled(TrainingDefense):
    """One more epoch on adversarial images of one step, again and again.

    Attributes:
        rounds: number of epochs (cumulative).
    """

    name: ClassVar[str] = "drilled"
    revision: ClassVar[int] = 1
    rounds: int = cumulative(2)

    def train(self, training: Training) -> Iterator[nn.Module]:
        def shifted(images: Tensor, labels: Tensor, index: Tensor) -> Tensor:
            gradient = training.classifier(live=True).gradient(images, Untargeted(labels).loss).gradient
            return (images + 8 / 255 * gradient.sign()).clamp(0, 1)

        for number in range(training.done, self.rounds):
            training.fit(replace(training.recipe, epochs=1), training.seed + number, after=shifted)
            yield training.module


@dataclass(frozen=True)
class Distance(Detector):
    """Distance of the features from the clean mean."""

    name: ClassVar[str] = "distance"
    revision: ClassVar[int] = 1
    layer: str = PENULTIMATE

    @property
    def watches(self) -> tuple[str, ...]:
        return (self.layer,)

    def fit(self, learning: Learning) -> State:
        return {"mean": learning.clean.layers[self.layer].mean(axis=0)}

    def score(self, state: State, seen: Features) -> Any:
        return np.linalg.norm(seen.layers[self.layer] - state["mean"], axis=1)


@dataclass(frozen=True)
class Difference(Probe):
    """The perturbations themselves.

    Attributes:
        layers: names of layers, a sequence.
    """

    name: ClassVar[str] = "difference"
    revision: ClassVar[int] = 1
    layers: tuple[str, ...] = ()

    def measure(self, classifier: Classifier, images: Tensor, adversarial: Tensor) -> dict[str, Any]:
        return {"difference": (adversarial - images).cpu().numpy()}
