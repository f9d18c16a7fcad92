"""Attacks and defenses in the frequency domain: the module that the entry point names."""

from __future__ import annotations

from medrobust import Attack, Defense, hookimpl

from .low_frequency_pgd import LowFrequencyPGD
from .randomised_smoothing import RandomisedSmoothing

MEDROBUST_CONTRACT = 1


@hookimpl
def medrobust_attacks() -> list[type[Attack]]:
    return [LowFrequencyPGD]


@hookimpl
def medrobust_defenses() -> list[type[Defense]]:
    return [RandomisedSmoothing]
