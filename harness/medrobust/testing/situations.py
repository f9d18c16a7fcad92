"""Tiny networks and images: what an attack meets in a grid, in milliseconds and offline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from ..contracts import Goal, SampleRNG, Targeted, Task, Untargeted, decisions, predictions
from ..engine.models.classifier import TorchClassifier

SIZE = 16
"""Side of the images."""
COUNT = 6
"""Images of a situation."""


class TinyNetwork(nn.Module):
    """Convolution, softplus, averages and a linear layer: smooth, so that no gradient is exactly zero.

    Args:
        channels: of the images, which are (n, channels, 16, 16) in [0, 1].
        outputs: number of logits.
        seed: of the weights.
    """

    def __init__(self, channels: int, outputs: int, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.convolution = nn.Conv2d(channels, 8, 3, padding=1)
            self.head = nn.Linear(8 * 16, outputs)
        with torch.no_grad():
            self.head.weight.mul_(20)
            # Without a bias that answers the mean image, such a network gives all images one class.
            self.head.bias.sub_(self(tiny_images(COUNT, channels)).mean(dim=0))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        maps = nn.functional.softplus(self.convolution(images - 0.5))
        logits: Tensor = self.head(nn.functional.avg_pool2d(maps, SIZE // 4).flatten(1))
        return logits


@cache
def tiny_images(count: int, channels: int = 1, seed: int = 0) -> Tensor:
    """Smooth random images (count, channels, 16, 16) in [0, 1]; not to be changed in place."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((count, channels, 4, 4), generator=generator)
    return nn.functional.interpolate(coarse, size=SIZE, mode="bilinear", align_corners=True).clamp(0, 1)


@dataclass(frozen=True)
class Situation:
    """A kind of model and images that plugins meet.

    Attributes:
        name: in words.
        task: what the outputs mean.
        classes: number of classes, or of labels.
        outputs: number of logits; one for two classes, in some networks.
        channels: of the images.
    """

    name: str
    task: Task
    classes: int
    outputs: int
    channels: int

    @property
    def images(self) -> Tensor:
        """Images (n, c, 16, 16) in [0, 1], on which the network gives more than one class."""
        images: Tensor = tiny_images(COUNT, self.channels).clone()
        return images

    @property
    def ids(self) -> list[str]:
        """Their sample ids."""
        return [f"image-{number}" for number in range(COUNT)]

    def classifier(self, device: str = "cpu") -> TorchClassifier:
        """A fresh classifier of a fresh network."""
        return TorchClassifier(TinyNetwork(self.channels, self.outputs).to(device), self.task, self.classes)

    def labels(self) -> Tensor:
        """What the network says of the images: an attack begins at images that are classified correctly."""
        logits: Tensor = TinyNetwork(self.channels, self.outputs)(self.images)
        return predictions(logits) if self.task == "multiclass" else decisions(logits).long()

    def goal(self, *, targeted: bool = False) -> Goal:
        """Away from what the network says, or towards something else."""
        labels = self.labels()
        if not targeted:
            return Untargeted(labels)
        return Targeted((labels + 1) % self.classes if self.task == "multiclass" else 1 - labels)


SITUATIONS = (
    Situation("two classes, grey", "multiclass", 2, 2, 1),
    Situation("three classes, colour", "multiclass", 3, 3, 3),
    Situation("two classes, one output", "multiclass", 2, 1, 1),
    Situation("four labels", "multilabel", 4, 4, 1),
)


def tiny_classifier(situation: Situation = SITUATIONS[0]) -> TorchClassifier:
    """The classifier of a tiny network, which counts the passes that are made through it."""
    return situation.classifier()


def streams(ids: list[str], seed: int = 0) -> SampleRNG:
    """A random stream for each image."""
    return SampleRNG.for_ids(seed, ids)
