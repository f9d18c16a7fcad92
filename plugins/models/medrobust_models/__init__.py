"""Bundled models."""

from __future__ import annotations

from medrobust import Model, Preset, hookimpl

from .architectures import ARCHITECTURES
from .small import SmallCNN, SmallResNet
from .timm_models import TimmModel
from .torchvision_models import TorchvisionModel

__all__ = ["SmallCNN", "SmallResNet", "TimmModel", "TorchvisionModel", "medrobust_models"]


@hookimpl
def medrobust_models() -> list[type[Model] | Preset]:
    presets = [Preset(a, TorchvisionModel, {"architecture": a}, f"torchvision's {a}.") for a in ARCHITECTURES]
    inception = Preset(
        "inception_resnet_v2", TimmModel, {"architecture": "inception_resnet_v2"}, "timm's Inception-ResNet-V2."
    )
    return [SmallCNN, SmallResNet, *presets, inception, TimmModel]
