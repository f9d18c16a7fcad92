"""NIH ChestX-ray14."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from medrobust import DataError, DataSource, Origin, Reference, Task

from . import origins
from .base import FileDataset
from .layouts import by_name, list_images, need
from .references import CHESTXRAY14
from .samples import Label, Sample, Survey
from .tables import listing, read_table, require_files, require_known, require_unique

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)
NO_FINDING = "No Finding"
LABELS = (*FINDINGS, NO_FINDING)

_TABLES = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv")
_LISTS = {"train": "train_val_list.txt", "test": "test_list.txt"}
_PAGE = "https://nihcc.app.box.com/v/ChestXray-NIHCC"


@dataclass(frozen=True, kw_only=True)
class ChestXray14(FileDataset):
    """Frontal chest X-rays with 14 findings mined from reports (112,120 images of 30,805 patients).

    Layout below `path`: `Data_Entry_2017.csv`, the images at any depth (`images/*.png`), and where present the official
    `train_val_list.txt` and `test_list.txt`; without these 20 % of the images are the test split, by patient. `val` is
    held out of train by patient.

    Attributes:
        path: the folder, absolute or below the data root.
        outputs: 14 findings, or 15 with `No Finding` as the last (wetstein2020's code).
        subset: labels of a single-label task instead, such as `["No Finding", "Pneumothorax"]` (ma2020): images that
            carry exactly one of these labels and no other, as classes in this order.
    """

    name: ClassVar[str] = "chestxray14"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (CHESTXRAY14,)
    licence: ClassVar[str] = "free use with attribution to the NIH Clinical Center"
    redistributable: ClassVar[bool] = True
    origin: ClassVar[Origin] = origins.CHESTXRAY14

    path: str = "chestxray14"
    channels: Literal[1, 3] = 1
    outputs: Literal[14, 15] = 15
    subset: tuple[str, ...] = ()

    def survey(self, source: DataSource) -> Survey:
        root = source.find(
            self.path, what=f"ChestX-ray14 (folder {self.path!r} with {_TABLES[0]} and images of {_PAGE})"
        )
        table = next((root / name for name in _TABLES if (root / name).is_file()), root / _TABLES[0])
        rows = read_table(
            need(table, f"put {_TABLES[0]} of {_PAGE} there"), ["Image Index", "Finding Labels", "Patient ID"]
        )
        names = [row["Image Index"] for row in rows]
        require_unique(names, table)
        findings = [frozenset(row["Finding Labels"].split("|")) for row in rows]
        require_known((label for labels in findings for label in labels), LABELS, table, "label")
        require_known(self.subset, LABELS, table.with_name("subset"), "label")
        images = by_name(list_images(root))
        require_files(names, images, table, root)
        lists, splits = official_splits(root)
        if splits and (unlisted := [name for name in names if name not in splits]):
            raise DataError(f"{listing(unlisted)} of {table} are in neither {' nor '.join(_LISTS.values())}.")
        samples = tuple(
            Sample(name, images[name], label, splits.get(name), f"patient {row['Patient ID']}")
            for name, row, labels in zip(names, rows, findings, strict=True)
            if (label := self._label(labels)) is not None
        )
        if not samples:
            raise DataError(f"{table} has no image with exactly one of the labels {', '.join(self.subset)}.")
        task: Task = "multiclass" if self.subset else "multilabel"
        return Survey(root, samples, self.subset or LABELS[: self.outputs], task, (table, *lists))

    def _label(self, labels: frozenset[str]) -> Label:
        if not self.subset:
            return tuple(int(label in labels) for label in LABELS[: self.outputs])
        (label, *others) = labels
        return self.subset.index(label) if not others and label in self.subset else None


def official_splits(root: Path) -> tuple[tuple[Path, ...], Mapping[str, str]]:
    """The official lists if both are there, and the split of each image they name."""
    lists = {split: root / name for split, name in _LISTS.items()}
    if not all(path.is_file() for path in lists.values()):
        return (), {}
    splits = {name: split for split, path in lists.items() for name in path.read_text(encoding="utf-8").split()}
    return tuple(lists.values()), splits
