"""Bundled defenses."""

from __future__ import annotations

from medrobust import Defense, hookimpl

from .adversarial_retraining import AdversarialRetraining
from .adversarial_training import AdversarialTraining
from .squeezing import BitDepth

__all__ = ["AdversarialRetraining", "AdversarialTraining", "BitDepth", "medrobust_defenses"]


@hookimpl
def medrobust_defenses() -> list[type[Defense]]:
    return [AdversarialRetraining, AdversarialTraining, BitDepth]
