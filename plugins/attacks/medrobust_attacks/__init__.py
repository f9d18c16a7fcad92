"""Bundled attacks."""

from __future__ import annotations

from medrobust import AnyAttack, Preset, Provider, hookimpl

from .adapters.art_attacks import ART_
from .adapters.foolbox_attacks import Foolbox
from .adapters.medmnistc_corruptions import MedMNISTC
from .adapters.torchattacks_attacks import Torchattacks
from .adaptive import Adaptive
from .apgd import APGD
from .carlini_wagner import CWL2
from .control import Noise
from .deepfool import DeepFool
from .derived import BatchClipped, BatchShuffled, Rounded, Shuffled
from .ensembles import AutoAttack, WorstCase
from .fab import FAB
from .fmn import DDN, FMN
from .gradient import BIM, FGSM, PGD
from .kovalev import KovalevPGD
from .margin import CWLinf
from .square import Square
from .universal import UAP, RandomUAP
from .universal_sgd import StochasticUAP

__all__ = [
    "APGD",
    "BIM",
    "CWL2",
    "DDN",
    "FAB",
    "FGSM",
    "FMN",
    "PGD",
    "UAP",
    "Adaptive",
    "AutoAttack",
    "BatchClipped",
    "BatchShuffled",
    "CWLinf",
    "DeepFool",
    "KovalevPGD",
    "Noise",
    "RandomUAP",
    "Rounded",
    "Shuffled",
    "Square",
    "StochasticUAP",
    "WorstCase",
    "medrobust_attacks",
    "medrobust_providers",
]


@hookimpl
def medrobust_attacks() -> list[type[AnyAttack] | Preset]:
    return [
        Noise,
        FGSM,
        BIM,
        PGD,
        CWLinf,
        KovalevPGD,
        APGD,
        FAB,
        Square,
        DeepFool,
        CWL2,
        DDN,
        FMN,
        UAP,
        Preset("batched-uap", UAP, {"order": "batched"}, "The universal perturbation `uap` in batches."),
        RandomUAP,
        StochasticUAP,
        Shuffled,
        BatchShuffled,
        BatchClipped,
        Rounded,
        WorstCase,
        AutoAttack,
        Adaptive,
    ]


@hookimpl
def medrobust_providers() -> list[type[Provider]]:
    return [Foolbox, ART_, Torchattacks, MedMNISTC]
