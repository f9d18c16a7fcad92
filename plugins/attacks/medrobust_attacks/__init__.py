"""Bundled attacks."""

from __future__ import annotations

from medrobust import AnyAttack, hookimpl

from .control import Noise
from .gradient import BIM, FGSM, PGD
from .margin import CWLinf

__all__ = ["BIM", "FGSM", "PGD", "CWLinf", "Noise", "medrobust_attacks"]


@hookimpl
def medrobust_attacks() -> list[type[AnyAttack]]:
    return [Noise, FGSM, BIM, PGD, CWLinf]
