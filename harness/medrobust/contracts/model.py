"""What a model author implements, and how a model is trained."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import ConfigDict
from torch import nn

from ..errors import ModelError
from .augmentation import Augmentation
from .dataset import Dataset, DataSource
from .plugin import Plugin
from .precision import Arithmetic
from .ranges import Count, NonNegative, Positive, Share, Whole

PUBLISHED: Final = ("imagenet", "published")
"""What `init` may say of weights that `Model.load_imagenet` loads."""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        optimizer: `sgd`, `adam` or `adamw`.
        learning_rate: the initial (for `onecycle`: the largest) learning rate.
        momentum: momentum of SGD.
        nesterov: Nesterov momentum of SGD.
        weight_decay: decay of the weights.
        schedule: `constant`, `cosine` to zero, `onecycle` (Smith & Topin, 2018), or `step` at `milestones`.
        milestones: epochs after which a `step` schedule multiplies the rate by `gamma`.
        gamma: factor of a `step` schedule.
        epochs: passes over the training images.
        batch_size: images a step.
        precision: `float32`, or `bfloat16`: torch's automatic mixed precision, where the weights stay float32.
        augment: names with an optional amount: `hflip`, `vflip`, `shift:0.05` (share of the side), `rotate:5`
            (degrees), `scale:0.1`, `shear:0.2`, `brightness:0.1`, `contrast:0.1`.
        balance: `none`, `oversample` minority classes, or `weights` in the loss by inverse frequency.
        select_on: slice on which the best epoch is chosen (by loss), or "last" to keep the last one.
    """

    optimizer: Literal["sgd", "adam", "adamw"] = "adamw"
    learning_rate: Positive = 1e-3
    momentum: Share = 0.9
    nesterov: bool = False
    weight_decay: NonNegative = 1e-4
    schedule: Literal["constant", "cosine", "onecycle", "step"] = "onecycle"
    milestones: tuple[Count, ...] = ()
    gamma: Positive = 0.1
    epochs: Whole = 10
    batch_size: Count = 64
    precision: Arithmetic = "float32"
    augment: tuple[Augmentation, ...] = ()
    balance: Literal["none", "oversample", "weights"] = "none"
    select_on: str = "val"
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Shape:
    """What a model is built for: input channels and size in pixels, and the number of logits."""

    channels: int
    height: int
    width: int
    outputs: int


@dataclass(frozen=True)
class Pretraining:
    """Initial weights from a training of the same architecture on other images, last layer left out.

    Like published weights they are one set: every instance of a model starts from the same.

    Attributes:
        pretrain_on: the data set; its images are converted to the model's size and channels.
        train_set: slice of it.
        recipe: how it is trained; by default, the model's own recipe.
    """

    pretrain_on: Dataset
    train_set: str = "train"
    recipe: Recipe | None = None
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


@dataclass(frozen=True)
class Model(Plugin):
    """An architecture with its head, initialisation and training recipe.

    The module takes float32 images (n, c, h, w) in [0, 1], does its own normalisation, and returns logits (n, outputs).

    Attributes:
        init: `random`, `imagenet`, `published` (weights of the model's own library, where it has some), the path of a
            checkpoint (.safetensors, or a torch file holding weights only), or a `Pretraining`.
        recipe: how it is trained; 0 epochs takes the initial weights as they are.
        instance: number of an independent repetition of the same training.
    """

    kind: ClassVar[str] = "model"
    stochastic: ClassVar[bool] = False
    """Whether equal images may give different logits; the evidence checks flag a model that does so undeclared."""

    init: str | Pretraining = "random"
    recipe: Recipe = Recipe()
    instance: Whole = 0

    @abstractmethod
    def build(self, shape: Shape) -> nn.Module:
        """The module with random weights, drawn from torch's global generator (the host seeds it).

        Raises:
            ModelError: if the architecture cannot take this shape.
        """

    def imagenet_file(self, source: DataSource) -> Path | None:
        """The file on this machine that `load_imagenet` would read; None where the weights are those of a library.

        What the file holds is part of the identity of every cell that rests on it.
        """
        return None

    def load_imagenet(self, module: nn.Module, source: DataSource) -> None:
        """Load published weights into a module that `build` made; `init = "imagenet"` or `"published"` asks for it.

        Weights of ImageNet leave out the head.

        Raises:
            ModelError: if there are none, or they are not on this machine; the message says which file to put where.
        """
        raise ModelError(f"model '{self.title}' has no ImageNet weights; use init = \"random\" or a checkpoint file")
