"""LC25000, histology of lung and colon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from medrobust import DataError, DataSource, Origin, Reference

from . import origins
from .base import FileDataset
from .layouts import list_images
from .references import LC25000 as REFERENCE
from .samples import Sample, Survey
from .tables import require_known, require_unique

CLASSES = ("lung_n", "lung_aca", "lung_scc", "colon_n", "colon_aca")


@dataclass(frozen=True, kw_only=True)
class LC25000(FileDataset):
    """Patches of lung and colon tissue, benign and malignant (25,000 images, 5 classes).

    Layout below `path`: a folder per class, at any depth. Its publisher made 25,000 images of 1,250 by rotating and
    mirroring them, and names no originals: a split by image has copies of one patch on both sides.

    Attributes:
        path: the folder, absolute or below the data root.
        subset: the classes that are used, in this order; if empty, all whose folders are there.
    """

    name: ClassVar[str] = "lc25000"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (REFERENCE,)
    licence: ClassVar[str] = "free for research, with attribution"
    origin: ClassVar[Origin] = origins.LC25000

    path: str = "lc25000"
    subset: tuple[str, ...] = ()

    def survey(self, source: DataSource) -> Survey:
        root = source.find(self.path, what=f"LC25000 (folder {self.path!r} with a folder per class)")
        require_known(self.subset, CLASSES, root / "subset", "class")
        require_unique(list(self.subset), root / "subset")
        files = [file for file in list_images(root) if file.parent.name in CLASSES]
        found = {file.parent.name for file in files}
        classes = self.subset or tuple(name for name in CLASSES if name in found)
        if absent := [name for name in classes if name not in found] or ([] if classes else list(CLASSES)):
            raise DataError(f"{root} has no images in a folder called {' or '.join(absent)}.")
        samples = tuple(
            Sample(f"{file.parent.name}/{file.name}", file, classes.index(file.parent.name))
            for file in files
            if file.parent.name in classes
        )
        require_unique([sample.id for sample in samples], root)
        return Survey(root, samples, classes)
