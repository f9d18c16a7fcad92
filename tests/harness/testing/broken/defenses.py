"""Defenses that break one rule each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from medrobust import (
    Preprocessing,
    RandomPreprocessing,
    SampleRNG,
    Training,
    TrainingDefense,
    Untargeted,
    cumulative,
)


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
class Unequal(Preprocessing):
    """No two of these are equal."""

    name: ClassVar[str] = "unequal"

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def wrap(self, module: nn.Module) -> nn.Module:
        return nn.Sequential(module)
