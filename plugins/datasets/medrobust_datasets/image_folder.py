"""Any folder of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from medrobust import SPLITS, DataError, DataSource

from .base import FileDataset
from .layouts import first_group, list_images, place, split_folders
from .samples import Sample, Survey
from .tables import Row, listing, read_table, require_files, require_known, require_unique


@dataclass(frozen=True, kw_only=True)
class ImageFolder(FileDataset):
    """A folder of images: a folder per class, with or without split folders above, or a CSV with labels and splits.

    Layouts: `path/{train,val,test}/{class}/*`, or `path/{class}/*`, whose test and val splits are then held out by
    group. Classes are the folder names in alphabetical order. With a CSV, exactly the listed files are used.

    Attributes:
        path: the folder, absolute or below the data root.
        csv: CSV in `path` or below the data root, with the column file (relative to `path`, with forward slashes) and
            any of label, split (train, val, test) and group (patient). The folders give what it does not.
        classes: class names in index order; any other label is an error. If empty, the names that are found.
        subset: names of the classes to take, in index order; images of the others are left out. If empty, all.
        group_pattern: regular expression whose first parenthesis finds the patient in the relative path, such as
            `(\\d+)_(left|right)`.
    """

    name: ClassVar[str] = "image-folder"
    revision: ClassVar[int] = 1
    licence: ClassVar[str] = "that of the images"

    path: str
    csv: str = ""
    classes: tuple[str, ...] = ()
    subset: tuple[str, ...] = ()
    group_pattern: str = ""

    @property
    def title(self) -> str:
        return f"{self.name} {self.path}"

    def survey(self, source: DataSource) -> Survey:
        root = source.find(
            self.path, what=f"the image folder {self.path!r} (class folders, or train, val and test above them)"
        )
        files = {file.relative_to(root).as_posix(): file for file in list_images(root)}
        rows: dict[str, Row] = {name: {} for name in files}
        tables: tuple[Path, ...] = ()
        if self.csv:
            table = self._table(root, source)
            rows, tables = _rows(table, files, root), (table,)
        has_splits = split_folders([Path(name) for name in rows])
        places = {name: place(Path(name), has_splits=has_splits) for name in rows}
        labels = {name: row.get("label") or places[name][1] for name, row in rows.items()}
        if loose := [name for name, label in labels.items() if label is None]:
            raise DataError(
                f"{root / loose[0]} is in no class folder; sort the images into one folder a class, or give a csv "
                "with the columns file and label (for unlabelled images: dataset = 'openimages-folder')."
            )
        found = sorted({label for label in labels.values() if label is not None})
        require_known(found, self.classes or found, tables[0] if tables else root, "label")
        if len(set(self.subset)) < len(self.subset):
            raise DataError(f"subset names a class twice: {listing(self.subset)}.")
        if missing := [label for label in self.subset if label not in found]:
            raise DataError(
                f"{root} has no images of class {listing(missing)}, which subset names; it has {listing(found, 10)}."
            )
        classes = self.subset or self.classes or tuple(found)
        index = {label: position for position, label in enumerate(classes)}
        samples = tuple(
            Sample(
                id=name,
                file=files[name],
                label=index[label or ""],
                split=row.get("split") or places[name][0],
                group=row.get("group") or (first_group(self.group_pattern, name) if self.group_pattern else None),
            )
            for (name, row), label in zip(rows.items(), labels.values(), strict=True)
            if label in index
        )
        return Survey(root, samples, classes, tables=tables)

    def _table(self, root: Path, source: DataSource) -> Path:
        return (
            root / self.csv if (root / self.csv).is_file() else source.find(self.csv, what=f"the csv of {self.title}")
        )


def _rows(table: Path, files: dict[str, Path], root: Path) -> dict[str, Row]:
    rows = read_table(table, ["file"])
    names = [row["file"] for row in rows]
    require_unique(names, table)
    require_files(names, files, table, root)
    require_known((row["split"] for row in rows if row.get("split")), SPLITS, table, "split")
    if "split" in rows[0] and (empty := [row["file"] for row in rows if not row["split"]]):
        raise DataError(f"{table} leaves the split of {listing(empty)} empty; fill all or none.")
    return dict(zip(names, rows, strict=True))
