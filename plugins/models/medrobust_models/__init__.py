"""Bundled models."""

from __future__ import annotations

from medrobust import Model, Preset, Provider, hookimpl

from .architectures import ARCHITECTURES
from .monai_models import Monai, MonaiModel
from .references import architecture_references
from .small import SmallCNN, SmallResNet, SmallResNet14
from .timm_models import Timm, TimmLibraryModel, TimmModel
from .torchvision_models import TorchvisionModel
from .xrv_models import XRayVision, XRVModel

__all__ = [
    "Monai",
    "MonaiModel",
    "SmallCNN",
    "SmallResNet",
    "SmallResNet14",
    "Timm",
    "TimmLibraryModel",
    "TimmModel",
    "TorchvisionModel",
    "XRVModel",
    "XRayVision",
    "medrobust_models",
    "medrobust_providers",
]


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
    return [SmallCNN, SmallResNet, SmallResNet14, *presets, inception]


@hookimpl
def medrobust_providers() -> list[type[Provider]]:
    return [Timm, Monai, XRayVision]
