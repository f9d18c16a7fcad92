"""Bundled defenses and detectors."""

from __future__ import annotations

from medrobust import Defense, Detector, Provider, hookimpl

from .adversarial_retraining import AdversarialRetraining
from .adversarial_training import AdversarialTraining
from .art_defenses import ARTDefenses
from .detectors import DeepFeatures, KernelDensity, LocalIntrinsicDimension, QuantisedFeatures
from .squeezing import BitDepth

__all__ = [
    "AdversarialRetraining",
    "AdversarialTraining",
    "BitDepth",
    "DeepFeatures",
    "KernelDensity",
    "LocalIntrinsicDimension",
    "QuantisedFeatures",
    "medrobust_defenses",
    "medrobust_providers",
]


@hookimpl
def medrobust_defenses() -> list[type[Defense] | type[Detector]]:
    return [
        *(AdversarialRetraining, AdversarialTraining, BitDepth),
        *(KernelDensity, LocalIntrinsicDimension, DeepFeatures, QuantisedFeatures),
    ]


@hookimpl
def medrobust_providers() -> list[type[Provider]]:
    return [ARTDefenses]
