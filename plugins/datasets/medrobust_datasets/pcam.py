"""PatchCamelyon."""

from __future__ import annotations

import csv
import gzip
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from medrobust import (
    DataError,
    DataInfo,
    Dataset,
    DataSource,
    DataUnavailable,
    ImageData,
    Origin,
    Reference,
    fingerprint_files,
)

from . import origins
from .arrays import image_data
from .decoding import Decoder, allocate
from .references import CAMELYON16, PCAM

_SIDE = 96
_PUBLISHED = {"train": "train", "val": "valid", "test": "test"}
_PAGE = "https://github.com/basveeling/pcam"


@dataclass(frozen=True, kw_only=True)
class PCam(Dataset):
    """Lymph node patches with and without metastasis in their centre (327,680 images), through torchvision.

    Layout: `pcam/camelyonpatch_level_2_split_{train,valid,test}_{x,y}.h5` below the data root. Where the publisher's
    `..._meta.csv` (or `.csv.gz`) are there too, the slide of each patch is its group. Needs the package h5py.

    Attributes:
        size: side in pixels; other than 96 is resized (bilinear, antialiased).
    """

    name: ClassVar[str] = "pcam"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (PCAM, CAMELYON16)
    licence: ClassVar[str] = "CC0"
    redistributable: ClassVar[bool] = True
    origin: ClassVar[Origin] = origins.PCAM

    size: Annotated[int, Field(ge=8, le=4096)] = _SIDE

    def describe(self, source: DataSource) -> DataInfo:
        folder = self._find(source)
        grouped = all(_meta(folder, split) is not None for split in _PUBLISHED)
        return DataInfo(("normal", "metastasis"), (self.size, self.size), 3, grouped=grouped)

    def load(self, split: str, source: DataSource) -> ImageData:
        folder = self._find(source)
        if importlib.util.find_spec("h5py") is None:
            raise DataUnavailable("pcam is stored as HDF5: install the package h5py (uv pip install h5py).")
        from torchvision.datasets import PCAM

        try:
            patches = PCAM(folder.parent, split=split)
            images = allocate((len(patches), _SIDE, _SIDE, 3))
            labels = np.empty(len(patches), dtype=np.int64)
            for index in range(len(patches)):
                images[index], labels[index] = patches[index]
                source.progress(index + 1, len(patches))
        except (OSError, KeyError, ValueError) as error:
            what = f"the {split} files in {folder} cannot be read ({error})"
            raise DataError(f"{what}; fetch them again from {_PAGE}.") from None
        return image_data(split, images, labels, Decoder(self.size, 3), source, _slides(folder, split, len(images)))

    def fingerprint(self, source: DataSource) -> str:
        folder = self._find(source)
        return fingerprint_files(folder, sorted(folder.glob("camelyonpatch_level_2_split_*")))

    def _find(self, source: DataSource) -> Path:
        for split in _PUBLISHED.values():
            for part in ("x", "y"):
                file = f"pcam/camelyonpatch_level_2_split_{split}_{part}.h5"
                path = source.find(file, what=f"{file} (unpacked from {_PAGE})")
        return path.parent


def _meta(folder: Path, split: str) -> Path | None:
    name = f"camelyonpatch_level_2_split_{_PUBLISHED[split]}_meta.csv"
    return next((folder / file for file in (name, f"{name}.gz") if (folder / file).is_file()), None)


def _slides(folder: Path, split: str, count: int) -> NDArray[np.str_] | None:
    if (path := _meta(folder, split)) is None:
        return None
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    slides = [row.get("wsi", "") for row in csv.DictReader(text.decode().splitlines())]
    if len(slides) != count or not all(slides):
        raise DataError(f"{path} must name a slide (column wsi) for each of {count} patches; see {_PAGE}.")
    return np.asarray(slides, dtype=np.str_)
