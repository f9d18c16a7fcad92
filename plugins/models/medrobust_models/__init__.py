"""Bundled models."""

from __future__ import annotations

from medrobust import Model, Preset, hookimpl

from .architectures import ARCHITECTURES
from .references import architecture_references
from .small import SmallCNN, SmallResNet, SmallResNet14
from .timm_models import TimmModel
from .torchvision_models import TorchvisionModel

__all__ = ["SmallCNN", "SmallResNet", "SmallResNet14", "TimmModel", "TorchvisionModel", "medrobust_models"]


@hookimpl
def medrobust_models() -> list[type[Model] | Preset]:
    presets = [
        Preset(a, TorchvisionModel, {"architecture": a}, f"torchvision's {a}.", architecture_references(a))
        for a in ARCHITECTURES
    ]
    name = "inception_resnet_v2"
    inception = Preset(
        name, TimmModel, {"architecture": name}, "timm's Inception-ResNet-V2.", architecture_references(name)
    )
    return [SmallCNN, SmallResNet, SmallResNet14, *presets, inception, TimmModel]
