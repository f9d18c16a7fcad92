"""Bundled defenses and detectors."""

from __future__ import annotations

from medrobust import Defense, Detector, hookimpl

from .adversarial_retraining import AdversarialRetraining
from .adversarial_training import AdversarialTraining
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
]


@hookimpl
def medrobust_defenses() -> list[type[Defense] | type[Detector]]:
    return [
        *(AdversarialRetraining, AdversarialTraining, BitDepth),
        *(KernelDensity, LocalIntrinsicDimension, DeepFeatures, QuantisedFeatures),
    ]
