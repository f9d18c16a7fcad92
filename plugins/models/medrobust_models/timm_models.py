"""Architectures of timm, an extra: `pip install medrobust[timm]`."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from medrobust import DataSource, Model, ModelError, Reference, Shape

from .inputs import IMAGENET_MEAN, IMAGENET_STD, Dropout, Normalise, checked
from .references import TIMM, WEIGHTS


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ImportError:
        raise ModelError("this model needs timm; install it with: uv pip install 'medrobust[timm]'") from None


@dataclass(frozen=True)
class TimmModel(Model):
    """An architecture of timm (Wightman, 2019) with global pooling and a new linear layer.

    Inception-ResNet-V2, which hirano2021 uses, is not in torchvision. The model repeats one-channel images.

    Attributes:
        architecture: timm's name.
        dropout: dropout before the last layer.
    """

    name: ClassVar[str] = "timm"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (TIMM,)
    licence: ClassVar[str] = WEIGHTS
    architecture: str = "inception_resnet_v2"
    dropout: Dropout = 0.0

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
        return checked(nn.Sequential(Normalise(IMAGENET_MEAN, IMAGENET_STD), network), self.architecture, shape)

    def load_imagenet(self, module: nn.Module, source: DataSource) -> None:
        """ImageNet weights for everything but the new head, through timm."""
        network = module[1]  # type: ignore[index]
        try:
            pretrained = _timm().create_model(self.architecture, pretrained=True)
        except Exception as error:  # noqa: BLE001 - hub, network and disk each raise their own
            raise ModelError(
                f"timm cannot get the ImageNet weights of {self.architecture} ({type(error).__name__}); "
                "connect to the internet once, or give a checkpoint of the whole model as init"
            ) from None
        own = network.state_dict()
        state = {k: v for k, v in pretrained.state_dict().items() if k in own and own[k].shape == v.shape}
        network.load_state_dict(state, strict=False)
