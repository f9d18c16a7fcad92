"""Data sets bundled with medrobust."""

from __future__ import annotations

from collections.abc import Iterable

from medrobust import Dataset, hookimpl

from .chestxray14 import ChestXray14
from .cifar10 import Cifar10
from .eyepacs import EyePacs
from .image_folder import ImageFolder
from .isic2018 import Isic2018
from .kermany import KermanyOct, KermanyXray
from .lc25000 import LC25000
from .medmnist import MedMnist
from .natural import ImageNetFolder, OpenImagesFolder
from .pcam import PCam
from .phantoms import (
    PhantomCXR,
    PhantomDerm,
    PhantomFundus,
    PhantomHistology,
    PhantomNatural,
    PhantomOCT,
)

FILES: tuple[type[Dataset], ...] = (
    ImageFolder,
    ChestXray14,
    Cifar10,
    EyePacs,
    ImageNetFolder,
    Isic2018,
    KermanyOct,
    KermanyXray,
    LC25000,
    MedMnist,
    OpenImagesFolder,
    PCam,
)
"""Data sets read from files."""

PHANTOMS: tuple[type[Dataset], ...] = (
    PhantomCXR,
    PhantomDerm,
    PhantomFundus,
    PhantomHistology,
    PhantomNatural,
    PhantomOCT,
)
"""Procedural data sets, which need no download."""


@hookimpl
def medrobust_datasets() -> Iterable[type[Dataset]]:
    """Data sets read from files, and procedural phantoms."""
    return (*FILES, *PHANTOMS)
