"""Any torchvision classification architecture by name, with its head replaced."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from medrobust import DataSource, Model, ModelError, Reference, Shape, Whole

from .inputs import CENTRED, IMAGENET_MEAN, IMAGENET_STD, Dropout, Normalise, checked
from .pretrained import Weights, local_file, places, read_weights, take_over
from .references import TORCHVISION, WEIGHTS

_HEADS = ("fc", "classifier", "heads", "head")
"""Attributes under which torchvision's architectures keep their last layers."""
_CENTRED = ("inception_v3", "googlenet")
"""Architectures whose ImageNet weights, ported from TensorFlow, expect inputs in [-1, 1]."""
IMAGENET_CLASSES = 1000
_OLD_DENSE = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(?=[12]\.)")
"""Names of layers in torchvision's published weights of DenseNets, of a time when names could hold dots."""


def _models() -> Any:
    """torchvision's models, imported only when one is built: it takes seconds that most commands need not spend."""
    return importlib.import_module("torchvision.models")


@dataclass(frozen=True)
class TorchvisionModel(Model):
    """An architecture of torchvision with its last layer replaced; the model repeats one-channel images.

    Attributes:
        architecture: torchvision's name.
        head: `pooled` (global average pooling and one linear layer, also for VGG; hirano2021), or
            `original` (the architecture's own classifier with its last layer replaced), or `published` (the
            architecture as it is, with the ImageNet weights of its last layer too; for the 1,000 classes of ImageNet).
        hidden: width of a linear layer without activation before the last (ma2020 uses 128); 0 for none.
        dropout: dropout before the last layer (ma2020 uses 0.2).
        normalise: `imagenet` mean and deviation, or `centre` for [-1, 1], which ImageNet weights of Inception and
            GoogLeNet always get.
    """

    name: ClassVar[str] = "torchvision"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (TORCHVISION,)
    licence: ClassVar[str] = WEIGHTS
    architecture: str = "resnet18"
    head: Literal["pooled", "original", "published"] = "pooled"
    hidden: Whole = 0
    dropout: Dropout = 0.0
    normalise: Literal["imagenet", "centre"] = "imagenet"

    @property
    def title(self) -> str:
        return self.architecture

    def build(self, shape: Shape) -> nn.Module:
        network = self._network()
        if self.head == "published":
            _expect_imagenet(self.architecture, shape.outputs)
        else:
            _replace_head(network, self.architecture, self._last(shape.outputs), pooled=self.head == "pooled")
        centred = self.normalise == "centre" or (self.init == "imagenet" and self.architecture in _CENTRED)
        mean, std = CENTRED if centred else (IMAGENET_MEAN, IMAGENET_STD)
        return checked(nn.Sequential(Normalise(mean, std), network), self.architecture, shape)

    def _network(self) -> nn.Module:
        builder = _models().get_model_builder(self.architecture)
        options: dict[str, Any] = {"weights": None}
        accepted = inspect.signature(builder).parameters
        if self.architecture in ("inception_v3", "googlenet"):
            # The auxiliary heads serve training at full size only; weights for them are left out as well.
            options |= {"aux_logits": False, "transform_input": False, "init_weights": True}
        if "weights_backbone" in accepted:
            options["weights_backbone"] = None
        network: nn.Module = builder(**options)
        return network

    def _last(self, outputs: int) -> _Last:
        return _Last(self.hidden, self.dropout, outputs)

    def imagenet_file(self, source: DataSource) -> Path | None:
        return local_file(source, places(self.architecture, self._published().url.rpartition("/")[2]))

    def load_imagenet(self, module: nn.Module, source: DataSource) -> None:
        """ImageNet weights for everything but the new head: from the data root's `weights` folder, else torchvision."""
        file = self.imagenet_file(source)
        found = read_weights(file) if file else _downloaded(self.architecture, self._published(), source)
        state = {_OLD_DENSE.sub(r"\1", k): v for k, v in found.items()}
        take_over(module[1], state, self.architecture, () if self.head == "published" else _HEADS)  # type: ignore[index]

    def _published(self) -> Any:
        """torchvision's record of the weights: the first it published of an architecture."""
        weights = _models().get_model_weights(self.architecture)
        return getattr(weights, "IMAGENET1K_V1", None) or next(iter(weights))


@dataclass(frozen=True)
class _Last:
    """The layers after pooling."""

    hidden: int
    dropout: float
    outputs: int

    def layers(self, inputs: int) -> nn.Module:
        layers: list[nn.Module] = []
        if self.hidden:
            layers.append(nn.Linear(inputs, self.hidden))
            inputs = self.hidden
        if self.dropout:
            layers.append(nn.Dropout(self.dropout))
        layers.append(nn.Linear(inputs, self.outputs))
        return layers[0] if len(layers) == 1 else nn.Sequential(*layers)


def _expect_imagenet(architecture: str, outputs: int) -> None:
    if outputs != IMAGENET_CLASSES:
        raise ModelError(
            f"{architecture}: head = 'published' is for the {IMAGENET_CLASSES:,} classes of ImageNet, and this data "
            f"set has {outputs}; use head = 'pooled' or 'original'"
        )


def _replace_head(network: nn.Module, architecture: str, last: _Last, *, pooled: bool) -> None:
    attribute = next((a for a in _HEADS if isinstance(getattr(network, a, None), nn.Module)), None)
    if attribute is None:
        raise ModelError(f"{architecture} has no last layer that could be replaced")
    head = getattr(network, attribute)
    if architecture.startswith("squeezenet"):
        # Its classifier is a convolution before the pooling.
        network.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), last.layers(512))
        return
    if pooled and architecture.startswith(("vgg", "alexnet")):
        channels = next(m.out_channels for m in reversed(list(network.features.modules())) if isinstance(m, nn.Conv2d))  # type: ignore[union-attr]
        network.avgpool = nn.AdaptiveAvgPool2d(1)
        network.classifier = last.layers(channels)
        return
    if isinstance(head, nn.Linear):
        setattr(network, attribute, last.layers(head.in_features))
        return
    linear = [(name, m) for name, m in head.named_modules() if isinstance(m, nn.Linear)]
    if not linear:
        raise ModelError(f"{architecture} has no linear layer in its head")
    name, old = linear[-1]
    parent_name, _, child = name.rpartition(".")
    setattr(head.get_submodule(parent_name), child, last.layers(old.in_features))


def _downloaded(architecture: str, weights: Any, source: DataSource) -> Weights:
    try:
        state: Weights = weights.get_state_dict(progress=False, check_hash=True)
    except Exception as error:  # noqa: BLE001 - hub, network and disk each raise their own
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        place = f"weights/{architecture}-imagenet.pth"
        root = f", or as {place} below the data root" if source.root is None else f", or as {source.root / place}"
        raise ModelError(
            f"the ImageNet weights of {architecture} cannot be downloaded ({type(error).__name__}); "
            f"put {weights.url.rpartition('/')[2]} into {folder}{root}"
        ) from None
    return state
