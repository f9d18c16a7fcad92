"""ISIC 2018, task 3: seven kinds of skin lesion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from medrobust import DataError, DataSource, Origin, Reference

from . import origins
from .base import FileDataset, HeldOut
from .layouts import by_name, list_images, need
from .references import HAM10000, ISIC2018
from .samples import Sample, Survey
from .tables import read_table, require_files, require_unique

DIAGNOSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
MALIGNANT = frozenset({"MEL", "BCC", "AKIEC"})
"""Melanoma, basal cell carcinoma, and actinic keratosis / intraepithelial carcinoma count as malignant."""

_FOLDER = "ISIC2018_Task3_Training_"
_PAGE = "https://challenge.isic-archive.com/data/#2018"


@dataclass(frozen=True, kw_only=True)
class Isic2018(FileDataset):
    """Dermoscopic images of HAM10000 as published for the ISIC 2018 challenge, task 3 (10,015 images).

    Layout below `path`: `ISIC2018_Task3_Training_Input/*.jpg`, and in `ISIC2018_Task3_Training_GroundTruth` the one-hot
    `..._GroundTruth.csv` and, for the lesions, `..._LesionGroupings.csv`. The publisher names no splits: by default
    70 % train, 10 % val and 20 % test by lesion.

    Attributes:
        path: the folder, absolute or below the data root.
        task: `7-class` (MEL, NV, BCC, AKIEC, BKL, DF, VASC), or `malignant`: MEL, BCC and AKIEC against the others.
    """

    name: ClassVar[str] = "isic2018"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (ISIC2018, HAM10000)
    licence: ClassVar[str] = "CC BY-NC 4.0"
    redistributable: ClassVar[bool] = True
    origin: ClassVar[Origin] = origins.ISIC2018

    path: str = "isic2018"
    task: Literal["7-class", "malignant"] = "7-class"
    val: HeldOut = 0.125

    def survey(self, source: DataSource) -> Survey:
        root = source.find(
            self.path, what=f"ISIC 2018 task 3 (folder {self.path!r} with the unpacked files of {_PAGE})"
        )
        folder = need(root / f"{_FOLDER}Input", f"unpack {_FOLDER}Input.zip of {_PAGE} there")
        what = f"unpack {_FOLDER}GroundTruth.zip of {_PAGE} there"
        truth = need(root / f"{_FOLDER}GroundTruth" / f"{_FOLDER}GroundTruth.csv", what)
        lesions = truth.with_name(f"{_FOLDER}LesionGroupings.csv")
        images = by_name(list_images(folder), stem=True)
        diagnoses = one_hot(truth)
        require_files(list(diagnoses), images, truth, folder)
        groups = _groups(lesions) if lesions.is_file() else {}
        samples = tuple(
            Sample(id=name, file=images[name], label=self._label(diagnosis), group=groups.get(name))
            for name, diagnosis in diagnoses.items()
        )
        classes = DIAGNOSES if self.task == "7-class" else ("benign", "malignant")
        tables = (truth, lesions) if groups else (truth,)
        return Survey(root, samples, classes, tables=tables)

    def _label(self, diagnosis: str) -> int:
        return DIAGNOSES.index(diagnosis) if self.task == "7-class" else int(diagnosis in MALIGNANT)


def one_hot(truth: Path) -> dict[str, str]:
    """Diagnosis of each image of a ground truth in the challenge's one-hot form.

    Raises:
        DataError: naming the row that is not one-hot.
    """
    rows = read_table(truth, ["image", *DIAGNOSES])
    require_unique([row["image"] for row in rows], truth)
    found: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        try:
            marks = {diagnosis: float(row[diagnosis]) for diagnosis in DIAGNOSES}
        except ValueError as error:
            raise DataError(f"{truth}, row {number}: {error}; expected 0.0 or 1.0.") from None
        positive = [diagnosis for diagnosis, mark in marks.items() if mark == 1.0]
        if len(positive) != 1 or sum(marks.values()) != 1.0:
            raise DataError(
                f"{truth}, row {number}: {row['image']} must have exactly one 1.0, not {list(marks.values())}."
            )
        found[row["image"]] = positive[0]
    return found


def _groups(lesions: Path) -> dict[str, str]:
    return {row["image"]: row["lesion_id"] for row in read_table(lesions, ["image", "lesion_id"])}
