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

from .inputs import IMAGENET_MEAN, IMAGENET_STD, Dropout, Normalise, checked
from .references import TORCHVISION, WEIGHTS

_HEADS = ("fc", "classifier", "heads", "head")
"""Attributes under which torchvision's architectures keep their last layers."""
_CENTRED = ("inception_v3", "googlenet")
"""Architectures whose ImageNet weights, ported from TensorFlow, expect inputs in [-1, 1]."""
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
            `original` (the architecture's own classifier with its last layer replaced).
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
    head: Literal["pooled", "original"] = "pooled"
    hidden: Whole = 0
    dropout: Dropout = 0.0
    normalise: Literal["imagenet", "centre"] = "imagenet"

    @property
    def title(self) -> str:
        return self.architecture

    def build(self, shape: Shape) -> nn.Module:
        network = self._network()
        _replace_head(network, self.architecture, self._last(shape.outputs), pooled=self.head == "pooled")
        centred = self.normalise == "centre" or (self.init == "imagenet" and self.architecture in _CENTRED)
        mean, std = ((0.5,) * 3, (0.5,) * 3) if centred else (IMAGENET_MEAN, IMAGENET_STD)
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

    def load_imagenet(self, module: nn.Module, source: DataSource) -> None:
        """ImageNet weights for everything but the new head: from the data root's `weights` folder, else torchvision."""
        builder = _models().get_model_weights(self.architecture)
        weights = getattr(builder, "IMAGENET1K_V1", None) or next(iter(builder))
        state = {_OLD_DENSE.sub(r"\1", k): v for k, v in _read_weights(self.architecture, weights, source).items()}
        network = module[1]  # type: ignore[index]
        own = network.state_dict()
        fitting = {k: v.float() for k, v in state.items() if k in own and own[k].shape == v.shape}
        head = tuple(f"{name}." for name in _HEADS)
        missing = [k for k in own if k not in fitting and not k.startswith(head) and "num_batches_tracked" not in k]
        if missing:
            raise ModelError(
                f"ImageNet weights of {self.architecture} do not fit: '{missing[0]}' is missing or differs"
            )
        network.load_state_dict(fitting, strict=False)


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


def _read_weights(architecture: str, weights: Any, source: DataSource) -> dict[str, torch.Tensor]:
    file_name = weights.url.rpartition("/")[2]
    places = [f"weights/{architecture}-imagenet.pth", f"weights/{file_name}"]
    for place in places:
        if source.root and (source.root / place).exists():
            return _read_file(source.root / place)
    try:
        state: dict[str, torch.Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    except Exception as error:  # noqa: BLE001 - hub, network and disk each raise their own
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        root = (
            f", or as {places[0]} below the data root" if source.root is None else f", or as {source.root / places[0]}"
        )
        raise ModelError(
            f"the ImageNet weights of {architecture} cannot be downloaded ({type(error).__name__}); "
            f"put {file_name} into {folder}{root}"
        ) from None
    return state


def _read_file(file: Path) -> dict[str, torch.Tensor]:
    try:
        state: dict[str, torch.Tensor] = torch.load(file, map_location="cpu", weights_only=True)
        if not all(isinstance(v, torch.Tensor) for v in state.values()):
            raise TypeError("it holds more than weights")
    except Exception as error:  # noqa: BLE001 - a damaged file can raise anything
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{file}: cannot be read as weights ({cause}); copy it again") from None
    return state
