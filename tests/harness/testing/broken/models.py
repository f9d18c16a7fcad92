"""A model that breaks the rule it is asked to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from medrobust import (
    Model,
    Shape,
)


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
