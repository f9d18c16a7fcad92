"""Bundled attacks."""

from __future__ import annotations

from medrobust import AnyAttack, hookimpl

from .control import Noise
from .derived import Rounded, Shuffled
from .gradient import BIM, FGSM, PGD
from .margin import CWLinf
from .square import Square
from .universal import UAP, RandomUAP
from .universal_sgd import StochasticUAP

__all__ = [
    "BIM",
    "FGSM",
    "PGD",
    "UAP",
    "CWLinf",
    "Noise",
    "RandomUAP",
    "Rounded",
    "Shuffled",
    "Square",
    "StochasticUAP",
    "medrobust_attacks",
]


@hookimpl
def medrobust_attacks() -> list[type[AnyAttack]]:
    return [Noise, FGSM, BIM, PGD, CWLinf, Square, UAP, RandomUAP, StochasticUAP, Shuffled, Rounded]
