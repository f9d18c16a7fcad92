"""MONAI's classification networks in two dimensions by name, `monai:NAME`; MONAI is an extra."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from medrobust import DataSource, Model, ModelError, Preset, Provider, Reference, Shape

from .inputs import IMAGENET_MEAN, IMAGENET_STD, Dropout, Normalise, checked
from .libraries import imported, install
from .pretrained import Weights, local_file, places, read_weights, take_over
from .references import MONAI, WEIGHTS, architecture_references

_CHANNELS = 3
_PATCH = 16
_HEADS = ("class_layers.out", "last_linear", "fc", "_fc", "classification_head")
"""Under which names MONAI's networks keep their last layers."""
Maker = Callable[[Shape, float, bool], nn.Module]
"""A network for a shape, with a dropout, with ImageNet weights or not."""


def _nets() -> Any:
    return imported("monai.networks.nets", "monai")


@dataclass(frozen=True)
class MonaiModel(Model):
    """A classification network of MONAI (Cardoso et al., 2022) in two dimensions.

    The model repeats one-channel images. ImageNet weights, of DenseNets, squeeze-and-excitation networks and
    EfficientNets, come from `weights/monai-NETWORK-imagenet.safetensors` (or `.pth`) below the data root, in MONAI's
    names, where that file is there, else from where MONAI downloads them.

    Attributes:
        network: MONAI's name, such as `DenseNet121`, `SEResNet50`, `resnet18`, `efficientnet-b0` or `ViT`.
        dropout: dropout before the last layer, for the networks that have it: DenseNets, squeeze-and-excitation
            networks and the vision transformer (in every layer).
        normalise: `imagenet` mean and deviation, `none`, or `own`: those of ImageNet with its weights, else none.
    """

    name: ClassVar[str] = "monai"
    revision: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("monai",)
    references: ClassVar[tuple[Reference, ...]] = (MONAI,)
    licence: ClassVar[str] = WEIGHTS
    network: str = "DenseNet121"
    dropout: Dropout = 0.0
    normalise: Literal["own", "imagenet", "none"] = "own"

    @property
    def title(self) -> str:
        return self.network

    def build(self, shape: Shape) -> nn.Module:
        network = self._made(shape, imagenet=False)
        scaled = self.normalise == "imagenet" or (self.normalise == "own" and self.init == "imagenet")
        mean, std = (IMAGENET_MEAN, IMAGENET_STD) if scaled else ((0.0,) * _CHANNELS, (1.0,) * _CHANNELS)
        return checked(nn.Sequential(Normalise(mean, std), network), self.network, shape)

    def imagenet_file(self, source: DataSource) -> Path | None:
        return local_file(source, places(f"monai-{self.network}"))

    def load_imagenet(self, module: nn.Module, source: DataSource) -> None:
        """ImageNet weights for everything but the new head: from the data root's `weights` folder, else from MONAI."""
        file = self.imagenet_file(source)
        state = read_weights(file) if file else self._downloaded(source)
        take_over(module[1], state, self.network, _HEADS)  # type: ignore[index]

    def _made(self, shape: Shape, *, imagenet: bool) -> nn.Module:
        maker = networks().get(self.network)
        if maker is None:
            raise ModelError(f"MONAI has no network '{self.network}'; 'medrobust plugins --provider monai' lists all")
        try:
            return maker(shape, self.dropout, imagenet)
        except (ValueError, AssertionError) as error:
            size = f"{shape.height}x{shape.width}"
            raise ModelError(f"{self.network} cannot take images of {size}: {str(error).splitlines()[0]}") from None

    def _downloaded(self, source: DataSource) -> Weights:
        place = places(f"monai-{self.network}")[0]
        there = source.root / place if source.root else f"{place} below the data root"
        try:
            state: Weights = self._made(Shape(_CHANNELS, 224, 224, 1000), imagenet=True).state_dict()
        except Exception as error:  # noqa: BLE001 - network, disk and networks without weights each raise their own
            raise ModelError(
                f"MONAI cannot get ImageNet weights of {self.network} ({type(error).__name__}); connect to the "
                f'internet once, or save them in MONAI\'s names as {there}; if it has none, use init = "random"'
            ) from None
        return state


def networks() -> dict[str, Maker]:
    """MONAI's classification networks by its own names."""
    nets = _nets()
    made: dict[str, Maker] = {}
    for name, found in vars(nets).items():
        if inspect.isclass(found) and found.__name__ == name:
            if issubclass(found, nets.DenseNet) and found is not nets.DenseNet:
                made[name] = _dense(found)
            elif issubclass(found, nets.SENet) and found is not nets.SENet:
                made[name] = _squeezing(found)
        elif re.fullmatch(r"resnet\d+", name) and callable(found):
            made[name] = _residual(found)
    efficient = imported("monai.networks.nets.efficientnet", "monai")
    made |= {name: _efficient(nets.EfficientNetBN, name) for name in efficient.efficientnet_params}
    return {**made, "ViT": _transformer(nets.ViT)}


def _dense(network: Any) -> Maker:
    return lambda shape, dropout, imagenet: network(
        spatial_dims=2,
        in_channels=_CHANNELS,
        out_channels=shape.outputs,
        dropout_prob=dropout,
        pretrained=imagenet,
        progress=False,
    )


def _squeezing(network: Any) -> Maker:
    def make(shape: Shape, dropout: float, imagenet: bool) -> nn.Module:
        options: dict[str, Any] = {"pretrained": imagenet, "progress": False, "dropout_prob": dropout or None}
        made: nn.Module = network(spatial_dims=2, in_channels=_CHANNELS, num_classes=shape.outputs, **options)
        return made

    return make


def _residual(network: Any) -> Maker:
    def make(shape: Shape, dropout: float, imagenet: bool) -> nn.Module:
        if imagenet:
            raise ValueError("its weights are of volumes")
        made: nn.Module = network(
            pretrained=False, spatial_dims=2, n_input_channels=_CHANNELS, num_classes=shape.outputs
        )
        return made

    return make


def _efficient(network: Any, name: str) -> Maker:
    return lambda shape, dropout, imagenet: network(
        name, pretrained=imagenet, progress=False, spatial_dims=2, in_channels=_CHANNELS, num_classes=shape.outputs
    )


class _FirstOutput(nn.Module):
    """MONAI's transformer, which gives its hidden states beside the logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)[0]
        return logits


def _transformer(network: Any) -> Maker:
    def make(shape: Shape, dropout: float, imagenet: bool) -> nn.Module:
        if imagenet:
            raise ValueError("it has no weights")
        if shape.height % _PATCH or shape.width % _PATCH:
            raise ValueError(f"its patches are of {_PATCH} pixels")
        made = network(
            _CHANNELS,
            (shape.height, shape.width),
            _PATCH,
            classification=True,
            num_classes=shape.outputs,
            dropout_rate=dropout,
            spatial_dims=2,
            post_activation=None,
        )
        return _FirstOutput(made)

    return make


class Monai(Provider):
    """MONAI's classification networks, such as `monai:DenseNet121`."""

    prefix: ClassVar[str] = "monai"
    kind: ClassVar[str] = "model"
    library: ClassVar[str] = "monai"
    install: ClassVar[str] = install("monai")

    def names(self) -> Iterable[str]:
        return networks()

    def plugin(self, name: str) -> Preset:
        if name not in self.names():
            raise KeyError(name)
        references = architecture_references(name.lower())
        return Preset(name, MonaiModel, {"network": name}, f"MONAI's {name} in two dimensions.", references)
