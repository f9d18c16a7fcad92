"""Architectures of timm by name, `timm:NAME`; timm is an extra."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import nn

from medrobust import DataSource, Model, ModelError, Preset, Provider, Reference, Shape

from .inputs import CENTRED, IMAGENET_MEAN, IMAGENET_STD, Dropout, Normalise, checked
from .libraries import imported, install
from .pretrained import Weights, local_file, places, read_weights, take_over
from .references import TIMM, WEIGHTS, architecture_references


def _timm() -> Any:
    return imported("timm", "timm")


@dataclass(frozen=True)
class TimmModel(Model):
    """An architecture of timm (Wightman, 2019) with global pooling and a new linear layer.

    The model repeats one-channel images. ImageNet weights come from `weights/ARCHITECTURE-imagenet.safetensors` (or
    `.pth`) below the data root, in timm's names, where that file is there, else from timm, which downloads them.

    Attributes:
        architecture: timm's name.
        dropout: dropout before the last layer.
        normalise: `own`, the mean and deviation that timm states for the architecture's weights ([-1, 1] for
            Inception-ResNet-V2), the `imagenet` ones, or `centre` for [-1, 1].
    """

    name: ClassVar[str] = "timm"
    revision: ClassVar[int] = 2
    references: ClassVar[tuple[Reference, ...]] = (TIMM,)
    licence: ClassVar[str] = WEIGHTS
    architecture: str = "inception_resnet_v2"
    dropout: Dropout = 0.0
    normalise: Literal["own", "imagenet", "centre"] = "own"

    @property
    def title(self) -> str:
        return self.architecture

    def build(self, shape: Shape) -> nn.Module:
        timm = _timm()
        if self.architecture not in timm.list_models():
            raise ModelError(f"timm has no architecture '{self.architecture}'; see timm.list_models()")
        network = timm.create_model(
            self.architecture, pretrained=False, num_classes=shape.outputs, drop_rate=self.dropout
        )
        return checked(nn.Sequential(Normalise(*self._scale(network)), network), self.architecture, shape)

    def _scale(self, network: Any) -> tuple[Sequence[float], Sequence[float]]:
        """Mean and deviation of the inputs."""
        if self.normalise == "own":
            return network.pretrained_cfg["mean"], network.pretrained_cfg["std"]
        return (IMAGENET_MEAN, IMAGENET_STD) if self.normalise == "imagenet" else CENTRED

    def imagenet_file(self, source: DataSource) -> Path | None:
        return local_file(source, places(self.architecture))

    def load_imagenet(self, module: nn.Module, source: DataSource) -> None:
        """ImageNet weights for everything but the new head: from the data root's `weights` folder, else from timm."""
        network: Any = module[1]  # type: ignore[index]
        file = self.imagenet_file(source)
        state = read_weights(file) if file else self._downloaded(source)
        named = network.pretrained_cfg["classifier"]
        take_over(network, state, self.architecture, (named,) if isinstance(named, str) else named)

    def _downloaded(self, source: DataSource) -> Weights:
        try:
            pretrained: Weights = _timm().create_model(self.architecture, pretrained=True).state_dict()
        except Exception as error:  # noqa: BLE001 - hub, network and disk each raise their own
            place = places(self.architecture)[0]
            raise ModelError(
                f"timm cannot get the ImageNet weights of {self.architecture} ({type(error).__name__}); "
                f"connect to the internet once, or save them in timm's names as "
                f"{source.root / place if source.root else f'{place} below the data root'}"
            ) from None
        return pretrained


@dataclass(frozen=True)
class TimmLibraryModel(TimmModel):
    """An architecture of timm whose version counts: results of `timm:NAME` are those of one version of timm."""

    __doc__ = TimmModel.__doc__
    revision: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("timm",)


class Timm(Provider):
    """timm's architectures, such as `timm:convnext_tiny`."""

    prefix: ClassVar[str] = "timm"
    kind: ClassVar[str] = "model"
    library: ClassVar[str] = "timm"
    install: ClassVar[str] = install("timm")

    def names(self) -> Iterable[str]:
        names: list[str] = _timm().list_models()
        return names

    def plugin(self, name: str) -> Preset:
        if not _timm().is_model(name):
            raise KeyError(name)
        return Preset(name, TimmLibraryModel, {"architecture": name}, f"timm's {name}.", architecture_references(name))
