"""Chest X-rays and retinal OCT of Kermany et al. 2018."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from medrobust import DataError, DataSource, Origin, Reference, RemoteFile

from . import origins
from .base import FileDataset
from .layouts import list_images, need, place, split_folders
from .references import KERMANY, KERMANY_DATA
from .samples import Sample, Survey

_PAGE = "https://data.mendeley.com/datasets/rscbjbr9sj"

_NAMES = (
    re.compile(r"(?P<patient>person\d+)_(?P<kind>bacteria|virus)_\d+(?:_\d+)?"),
    re.compile(r"(?P<patient>(?:NORMAL2-)?IM-\d+)-\d+(?:-\d+)?"),
    re.compile(r"(?P<kind>BACTERIA|VIRUS|NORMAL|CNV|DME|DRUSEN)-(?P<patient>\d+)-\d+"),
)
"""File names of release 2 (pneumonia, normal) and of release 3 (X-ray and OCT)."""


def parse_name(file: Path) -> tuple[str, str]:
    """Patient and kind (NORMAL, BACTERIA, VIRUS, CNV, DME or DRUSEN) that a file name says.

    Raises:
        DataError: if the name is of neither release.
    """
    for pattern in _NAMES:
        if match := pattern.fullmatch(file.stem):
            return match["patient"], (match.groupdict().get("kind") or "NORMAL").upper()
    raise DataError(
        f"{file}: the file name contains no patient; expected names such as person12_bacteria_46.jpeg, "
        "IM-0115-0001.jpeg or BACTERIA-864208-0001.jpeg (for other names: dataset = 'image-folder')."
    )


def _is_release_3(path: str) -> bool:
    """Whether a folder is that of release 3, whose archive unpacks to `CellData`."""
    return path.partition("/")[0] == "CellData"


def survey_folders(root: Path, classes: tuple[str, ...], *, by_kind: bool) -> Survey:
    """Images of `root/{train,test}/{class}`, labelled by class folder or by the kind in the name.

    The 16 images that the X-ray release has in `val` are too few to select a model on; they count as training images.
    """
    for part in ("train", "test"):
        need(root / part, f"unpack the archive of {_PAGE} so that {root} holds train and test")
    files = list_images(root)
    has_splits = split_folders([file.relative_to(root) for file in files])
    samples = []
    for file in files:
        path = file.relative_to(root)
        split, folder = place(path, has_splits=has_splits)
        patient, kind = parse_name(file)
        label = kind if by_kind else folder
        if label not in classes:
            raise DataError(f"{file} is of class {label}; expected folders {', '.join(classes)} in train and test.")
        published = "train" if split == "val" else split
        samples.append(Sample(path.as_posix(), file, classes.index(label), published, patient))
    return Survey(root, tuple(samples), classes)


@dataclass(frozen=True, kw_only=True)
class KermanyXray(FileDataset):
    """Paediatric chest X-rays: normal, and bacterial or viral pneumonia (5,856 images, 2 releases).

    Layout below `path`: `{train,test}/{NORMAL,PNEUMONIA}/*.jpeg`. The person numbers in file names are the groups; the
    publisher's train and test folders are kept although some numbers are in both. `val` is held out of train by person.

    Attributes:
        path: the folder `chest_xray`, absolute or below the data root.
        classes: 2 (NORMAL, PNEUMONIA), or 3 (NORMAL, BACTERIA, VIRUS, from the file names).
    """

    name: ClassVar[str] = "kermany-cxr"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (KERMANY, KERMANY_DATA)
    licence: ClassVar[str] = "CC BY 4.0"
    redistributable: ClassVar[bool] = True
    origin: ClassVar[Origin] = origins.KERMANY_XRAY

    path: str = "kermany-cxr/chest_xray"
    channels: Literal[1, 3] = 1
    classes: Literal[2, 3] = 2
    on_shared_groups: Literal["error", "keep"] = "keep"

    @property
    def files(self) -> tuple[RemoteFile, ...]:
        return origins.KERMANY_XRAY_3 if _is_release_3(self.path) else origins.KERMANY_XRAY.files

    def survey(self, source: DataSource) -> Survey:
        root = source.find(self.path, what=f"Kermany's chest X-rays (the folder chest_xray of {_PAGE})")
        classes = ("NORMAL", "PNEUMONIA") if self.classes == 2 else ("NORMAL", "BACTERIA", "VIRUS")
        return survey_folders(root, classes, by_kind=self.classes == 3)


@dataclass(frozen=True, kw_only=True)
class KermanyOct(FileDataset):
    """Retinal optical coherence tomography: CNV, DME, DRUSEN and NORMAL (109,309 images).

    Layout below `path`: `{train,test}/{CNV,DME,DRUSEN,NORMAL}/CLASS-PATIENT-NUMBER.jpeg`; patient numbers are the
    groups.

    Attributes:
        path: the folder, absolute or below the data root.
    """

    name: ClassVar[str] = "kermany-oct"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (KERMANY, KERMANY_DATA)
    licence: ClassVar[str] = "CC BY 4.0"
    redistributable: ClassVar[bool] = True
    origin: ClassVar[Origin] = origins.KERMANY_OCT

    path: str = "kermany-oct/OCT2017"
    channels: Literal[1, 3] = 1
    on_shared_groups: Literal["error", "keep"] = "keep"

    @property
    def files(self) -> tuple[RemoteFile, ...]:
        return origins.KERMANY_OCT_3 if _is_release_3(self.path) else origins.KERMANY_OCT.files

    def survey(self, source: DataSource) -> Survey:
        root = source.find(self.path, what=f"Kermany's OCT images (the folder OCT or OCT2017 of {_PAGE})")
        return survey_folders(root, ("CNV", "DME", "DRUSEN", "NORMAL"), by_kind=False)
