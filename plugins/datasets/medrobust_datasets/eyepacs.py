"""Kaggle's diabetic retinopathy photographs (EyePACS)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from PIL import Image

from medrobust import DataError, DataSource, Reference

from .base import FileDataset, HeldOut
from .fundus import field_of_view
from .layouts import by_name, list_images, need
from .references import EYEPACS, KAGGLE_RETINOPATHY
from .samples import Sample, Survey
from .tables import read_table, require_files, require_known, require_unique

GRADES = ("none", "mild", "moderate", "severe", "proliferative")
REFERABLE = 2
"""Lowest grade that is referred: moderate."""

_TABLES = ("trainLabels.csv", "retinopathy_solution.csv")
_PAGE = "https://www.kaggle.com/c/diabetic-retinopathy-detection/data"


@dataclass(frozen=True, kw_only=True)
class EyePacs(FileDataset):
    """Colour fundus photographs of both eyes, graded 0 to 4 (88,702 images of 44,351 patients).

    Layout below `path`: `trainLabels.csv` and, to merge Kaggle's test images, `retinopathy_solution.csv` (columns image
    and level); images at any depth, named `PATIENT_left.jpeg` and `PATIENT_right.jpeg`. As in wetstein2020 and ma2020
    all graded images are merged and split by patient, 12 % for test.

    Attributes:
        path: the folder, absolute or below the data root.
        task: `referable` (grade 2 or more against 0 and 1), or `5-grade`.
        field_crop: cut to the field of view (wetstein2020's code) and pad to a square before resizing.
    """

    name: ClassVar[str] = "eyepacs"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (KAGGLE_RETINOPATHY, EYEPACS)
    licence: ClassVar[str] = "Kaggle competition rules (research)"

    path: str = "eyepacs"
    task: Literal["referable", "5-grade"] = "referable"
    field_crop: bool = True
    test: HeldOut = 0.12

    def crop(self) -> Callable[[Image.Image], Image.Image] | None:
        return field_of_view if self.field_crop else None

    def survey(self, source: DataSource) -> Survey:
        root = source.find(
            self.path, what=f"Kaggle's retinopathy images (folder {self.path!r} with {_TABLES[0]} of {_PAGE})"
        )
        need(root / _TABLES[0], f"put {_TABLES[0]} of {_PAGE} there")
        tables = tuple(root / name for name in _TABLES if (root / name).is_file())
        images = by_name(list_images(root), stem=True)
        samples: list[Sample] = []
        for table in tables:
            rows = read_table(table, ["image", "level"])
            require_known((row["level"] for row in rows), [str(grade) for grade in range(len(GRADES))], table, "level")
            require_files([row["image"] for row in rows], images, table, root)
            for row in rows:
                name = row["image"]
                patient, underscore, eye = name.rpartition("_")
                if not underscore or eye not in ("left", "right"):
                    raise DataError(f"{table}: {name!r} is not PATIENT_left or PATIENT_right.")
                samples.append(Sample(name, images[name], self._label(int(row["level"])), group=f"patient {patient}"))
        require_unique([sample.id for sample in samples], tables[-1])
        classes = GRADES if self.task == "5-grade" else ("not referable", "referable")
        return Survey(root, tuple(samples), classes, tables=tables)

    def _label(self, grade: int) -> int:
        return grade if self.task == "5-grade" else int(grade >= REFERABLE)
