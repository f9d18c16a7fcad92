"""Data sets bundled with medrobust."""

from __future__ import annotations

from collections.abc import Iterable

from medrobust import Dataset, hookimpl

from .image_folder import ImageFolder

DATASETS: tuple[type[Dataset], ...] = (ImageFolder,)


@hookimpl
def medrobust_datasets() -> Iterable[type[Dataset]]:
    """Data sets read from files, and procedural phantoms."""
    return DATASETS
