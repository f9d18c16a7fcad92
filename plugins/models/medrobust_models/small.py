"""Small networks for phantoms, tests and small images: seconds of training on a CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from medrobust import Count, Model, Reference, Shape, Whole

from .inputs import Centre, Dropout
from .references import RESNET


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


@dataclass(frozen=True)
class SmallCNN(Model):
    """Three 3x3 convolutions with batch norm and ReLU, pooling by 2 between them, global pooling, one linear layer.

    Attributes:
        width: channels of the first convolution, which costs most at full size; the others have 4 and 8 times as many.
        hidden: width of a linear layer without activation before the last (ma2020 uses 128); 0 for none.
        dropout: dropout before the last layer (ma2020 uses 0.2).
    """

    name: ClassVar[str] = "small-cnn"
    revision: ClassVar[int] = 1
    width: Count = 8
    hidden: Whole = 0
    dropout: Dropout = 0.0

    def build(self, shape: Shape) -> nn.Module:
        w = self.width
        pool = nn.MaxPool2d(2)
        features = [*_block(shape.channels, w), pool, *_block(w, 4 * w), pool, *_block(4 * w, 8 * w)]
        head: list[nn.Module] = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        if self.hidden:
            head.append(nn.Linear(8 * w, self.hidden))
        if self.dropout:
            head.append(nn.Dropout(self.dropout))
        head.append(nn.Linear(self.hidden or 8 * w, shape.outputs))
        return nn.Sequential(Centre(), *features, *head)


class _Residual(nn.Module):
    """Basic residual block (He et al., 2016); one of stride 2 changes the width too, by a 1x1 shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=2, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x), inplace=True)


@dataclass(frozen=True)
class SmallResNet(Model):
    """A stem and three basic residual blocks (He et al., 2016), global average pooling, one linear layer.

    Attributes:
        width: channels of the stem and the first block; the second and third have two and four times as many.
        stem: stride of the stem: 2 with filters of 4x4, or 1 with 3x3, which keeps texture of few pixels and costs
            four times as much.
    """

    name: ClassVar[str] = "small-resnet"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (RESNET,)
    width: Count = 16
    stem: Literal[1, 2] = 2
    extra_blocks: ClassVar[int] = 0
    """Further blocks of each width."""

    def build(self, shape: Shape) -> nn.Module:
        w = self.width
        stem = [
            nn.Conv2d(shape.channels, w, 2 + self.stem, stride=self.stem, padding=1, bias=False),
            nn.BatchNorm2d(w),
            nn.ReLU(inplace=True),
        ]
        blocks: list[nn.Module] = []
        for inputs, outputs in ((w, w), (w, 2 * w), (2 * w, 4 * w)):
            blocks += [_Residual(inputs, outputs), *(_Residual(outputs, outputs, 1) for _ in range(self.extra_blocks))]
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * w, shape.outputs)]
        return nn.Sequential(Centre(), *stem, *blocks, *head)


@dataclass(frozen=True)
class SmallResNet14(SmallResNet):
    """As `small-resnet`, with six residual blocks, two of each width.

    Attributes:
        width: channels of the stem and the first two blocks; the others have two and four times as many.
        stem: as of `small-resnet`.
    """

    name: ClassVar[str] = "small-resnet14"
    revision: ClassVar[int] = 1
    extra_blocks: ClassVar[int] = 1
