"""Bundled models."""

from __future__ import annotations

from medrobust import Model, Preset, hookimpl

from .small import SmallCNN, SmallResNet
from .torchvision_models import TorchvisionModel, architectures

__all__ = ["SmallCNN", "SmallResNet", "TorchvisionModel", "medrobust_models"]


@hookimpl
def medrobust_models() -> list[type[Model] | Preset]:
    presets = [Preset(a, TorchvisionModel, {"architecture": a}, f"torchvision's {a}.") for a in architectures()]
    return [SmallCNN, SmallResNet, *presets]
