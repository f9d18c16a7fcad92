"""Planted cases, as a local plugin file: robust at first sight, and each to be found out."""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from medrobust import (
    Attack,
    Budget,
    Classifier,
    DataInfo,
    Dataset,
    DataSource,
    Goal,
    ImageData,
    IterativeAttack,
    IterativeUniversalAttack,
    Model,
    Preprocessing,
    Recipe,
    SampleRNG,
    Shape,
    ThreatModel,
    UniversalAttack,
    cumulative,
)

RECIPE = Recipe(learning_rate=0.01, epochs=6, batch_size=16)
COUNTS = {"train": 96, "val": 24, "test": 96}


@dataclass(frozen=True)
class Shades(Dataset):
    """Noisy grey images; the left half is a little darker than the right one, or the other way round.

    Attributes:
        contrast: difference of the halves in grey levels.
        wobble: deviation, in grey levels, by which the halves differ from image to image.
        checks: amplitude, in grey levels, of a checkerboard of 2 x 2 pixels whose phase is the class too.
        single: leave one training image to the second class.
        empty: leave none to it.
        labelled: whether there are labels.
        colour: three channels and 12 x 12 pixels, as another data set would have.
    """

    name: ClassVar[str] = "shades"
    revision: ClassVar[int] = 1
    contrast: int = 40
    wobble: int = 0
    checks: int = 0
    single: bool = False
    empty: bool = False
    labelled: bool = True
    colour: bool = False

    def describe(self, source: DataSource) -> DataInfo:
        side = 12 if self.colour else 8
        return DataInfo(("left", "right"), (side, side), 3 if self.colour else 1)

    def load(self, split: str, source: DataSource) -> ImageData:
        rng = np.random.default_rng([COUNTS[split], self.contrast])
        side = 12 if self.colour else 8
        labels = np.arange(COUNTS[split]) % 2
        if split == "train" and (self.single or self.empty):
            labels = np.zeros_like(labels)
            labels[0] = int(self.single)
        sign = np.where(labels == 1, 1, -1)[:, None, None]
        halves = np.where(np.arange(side) < side // 2, -1, 1)[None, None, :]
        board = ((np.indices((side, side)) // 2).sum(axis=0) % 2 * 2 - 1)[None]
        wobble = rng.normal(0, self.wobble, (len(labels), 1, 1))
        images = 128 + halves * (sign * self.contrast / 2 + wobble) + sign * board * self.checks
        images = images + rng.normal(0, 12, (len(labels), side, side))
        pixels = images.clip(0, 255).astype(np.uint8)[..., None].repeat(3 if self.colour else 1, axis=-1)
        ids = np.array([f"{split}-{i}" for i in range(len(labels))])
        return ImageData(pixels, labels.astype(np.int64) if self.labelled else None, ids)


@dataclass(frozen=True)
class Levels(Dataset):
    """Noisy grey images of three brightnesses: dark, middle, bright."""

    name: ClassVar[str] = "levels"
    revision: ClassVar[int] = 1

    def describe(self, source: DataSource) -> DataInfo:
        return DataInfo(("dark", "middle", "bright"), (8, 8), 1)

    def load(self, split: str, source: DataSource) -> ImageData:
        rng = np.random.default_rng(COUNTS[split])
        labels = np.arange(COUNTS[split]) % 3
        images = 70 + 50 * labels[:, None, None] + rng.normal(0, 12, (len(labels), 8, 8))
        ids = np.array([f"{split}-{i}" for i in range(len(labels))])
        return ImageData(images.clip(0, 255).astype(np.uint8)[..., None], labels.astype(np.int64), ids)


@dataclass(frozen=True)
class Plain(Model):
    """A convolution, batch norm, and a linear layer.

    Attributes:
        dropout: share of units left out in training.
        batch: largest batch it takes before memory ends; 0 for any.
    """

    name: ClassVar[str] = "plain"
    revision: ClassVar[int] = 1
    recipe: Recipe = RECIPE
    dropout: float = 0.0
    batch: int = 0

    def build(self, shape: Shape) -> nn.Module:
        layers: list[nn.Module] = [Narrow(self.batch)] if self.batch else []
        layers += [nn.Conv2d(shape.channels, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU()]
        layers += [nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(self.dropout)]
        return nn.Sequential(*layers, nn.Linear(6 * (shape.height // 2) * (shape.width // 2), shape.outputs))


class Narrow(nn.Module):
    """Passes on what fits; training batches always do."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch = batch

    def forward(self, images: Tensor) -> Tensor:
        if not self.training and len(images) > self.batch:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return images


class After(nn.Module):
    """Something between a module and whoever asks it."""

    def __init__(self, module: nn.Module, fault: str) -> None:
        super().__init__()
        self.module, self.fault = module, fault

    def forward(self, images: Tensor) -> Tensor:
        if self.fault == "noisy":
            images = images + 0.05 * torch.randn_like(images)
        match self.fault:
            case "quantised":
                images = images.round()
            case "sine":
                images = images + 0.15 * torch.sin(600 * images)
            case "normalised":
                images = (images - 0.485) / 0.229
        logits: Tensor = self.module(images)
        match self.fault:
            case "permuted":
                return logits.roll(1, dims=1)
            case "saturated":
                return logits * 1e4
            case "probabilities":
                return logits.softmax(dim=1)
        return logits


@dataclass(frozen=True)
class Tampered(Preprocessing):
    """A module that hides its weakness.

    Attributes:
        fault: `saturated` logits, a `noisy` or `quantised` input, one with a `sine` of high frequency added or
            `normalised` although the model does so, `probabilities` in place of logits, `permuted` outputs, or batch
            norm that takes its statistics from the `batch`.
    """

    name: ClassVar[str] = "tampered"
    revision: ClassVar[int] = 1
    fault: Literal["saturated", "noisy", "quantised", "probabilities", "sine", "normalised", "permuted", "batch"] = (
        "saturated"
    )

    def wrap(self, module: nn.Module) -> nn.Module:
        if self.fault == "batch":
            module = copy.deepcopy(module)
            for layer in module.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.track_running_stats, layer.running_mean, layer.running_var = False, None, None
        return After(module, self.fault)


@dataclass(frozen=True)
class Declared(Preprocessing):
    """Noise in front of the model, which says so."""

    name: ClassVar[str] = "declared"
    revision: ClassVar[int] = 1
    stochastic: ClassVar[bool] = True

    def wrap(self, module: nn.Module) -> nn.Module:
        return After(module, "noisy")


@dataclass(frozen=True)
class Idle(Attack):
    """Does nothing."""

    name: ClassVar[str] = "idle"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf", "l2"})

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        return images


@dataclass(frozen=True)
class Greedy(IterativeAttack):
    """Signed steps with some noise; memory ends above a number of images, in the second of the steps.

    Attributes:
        steps: steps (cumulative).
        room: images that memory has room for; 0 for any.
        error: which error says so.
    """

    name: ClassVar[str] = "greedy"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
    steps: int = cumulative(3)
    room: int = 0
    error: Literal["cuda", "cpu", "python", "other"] = "cuda"

    def iterates(
        self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG
    ) -> Generator[Tensor, Tensor | None, None]:
        assert budget.eps is not None
        point = images
        for step in range(self.steps):
            if step == 1 and self.room and len(images) > self.room:
                match self.error:
                    case "cuda":
                        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
                    case "cpu":
                        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
                    case "python":
                        raise MemoryError
                raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
            direction = classifier.gradient(point, goal.loss).gradient.sign()
            moved = point + budget.eps / 3 * direction + rng.uniform(images.shape[1:], -budget.eps, budget.eps)
            point = moved.clamp(images - budget.eps, images + budget.eps).clamp(0, 1)
            yield point


@dataclass(frozen=True)
class Growing(IterativeUniversalAttack):
    """The sign of the mean gradient over a growing share of the crafting images.

    Attributes:
        chunks: chunks of eight images (cumulative).
        delivers: chunks after which it ends, whatever was asked for.
    """

    name: ClassVar[str] = "growing"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
    chunks: int = cumulative(1)
    delivers: int = 100

    def iterates(
        self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG
    ) -> Iterator[Tensor]:
        assert budget.eps is not None
        perturbation = torch.zeros_like(images[0])
        for chunk in range(1, min(self.chunks, self.delivers) + 1):
            moved = images[: 8 * chunk] + perturbation
            step = classifier.gradient(moved, goal[torch.arange(8 * chunk)].loss).gradient.mean(dim=0).sign()
            perturbation.add_(step, alpha=budget.eps / 2).clamp_(-budget.eps, budget.eps)
            yield perturbation


@dataclass(frozen=True)
class Stray(UniversalAttack):
    """A universal perturbation that is none.

    Attributes:
        fault: it leaves the `budget`, has another `shape`, holds `nan`, or is `zero` throughout, which is a result.
    """

    name: ClassVar[str] = "stray"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf", "l2"})
    fault: Literal["budget", "shape", "nan", "zero"] = "budget"

    def fit(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        assert budget.eps is not None
        match self.fault:
            case "budget":
                return torch.full_like(images[0], 1.01 * budget.eps)
            case "shape":
                return images[:1] * 0
            case "nan":
                return images[0] * float("nan")
        return images[0] * 0
