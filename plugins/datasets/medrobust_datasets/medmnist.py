"""MedMNIST: the twelve 2-D sets in four sizes."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator

from medrobust import (
    DataError,
    DataInfo,
    Dataset,
    DataSource,
    DataUnavailable,
    ImageData,
    Origin,
    Reference,
    RemoteFile,
)

from . import medmnist_files
from .arrays import fingerprint_npz, image_data, read_npz
from .decoding import Decoder
from .references import MEDMNIST

_ORGANS = (
    *("bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right"),
    *("liver", "lung-left", "lung-right", "pancreas", "spleen"),
)

CLASSES: dict[str, tuple[str, ...]] = {
    "path": (
        *("adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa"),
        *("cancer-associated stroma", "colorectal adenocarcinoma epithelium"),
    ),
    "chest": (
        *("atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia", "pneumothorax"),
        *("consolidation", "edema", "emphysema", "fibrosis", "pleural", "hernia"),
    ),
    "derma": (
        *("actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma", "benign keratosis-like lesions"),
        *("dermatofibroma", "melanoma", "melanocytic nevi", "vascular lesions"),
    ),
    "oct": ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
    "pneumonia": ("normal", "pneumonia"),
    "retina": ("0", "1", "2", "3", "4"),
    "breast": ("malignant", "normal, benign"),
    "blood": (
        *("basophil", "eosinophil", "erythroblast", "immature granulocytes", "lymphocyte", "monocyte", "neutrophil"),
        "platelet",
    ),
    "tissue": (
        *("collecting duct, connecting tubule", "distal convoluted tubule", "glomerular endothelial cells"),
        *("interstitial endothelial cells", "leukocytes", "podocytes", "proximal tubule segments"),
        "thick ascending limb",
    ),
    "organa": _ORGANS,
    "organc": _ORGANS,
    "organs": _ORGANS,
}
"""Class or label names in index order."""

COLOUR = frozenset({"path", "derma", "retina", "blood"})
MULTILABEL = frozenset({"chest"})

Name = Literal[
    "path", "chest", "derma", "oct", "pneumonia", "retina", "breast", "blood", "tissue", "organa", "organc", "organs"
]


def _short(value: Any) -> Any:
    return value.lower().removesuffix("mnist") if isinstance(value, str) else value


@dataclass(frozen=True, kw_only=True)
class MedMnist(Dataset):
    """Any 2-D set of MedMNIST from its `{subset}mnist.npz` or `{subset}mnist_{size}.npz`.

    The file is in the folder `medmnist` of the data root; if it is missing, the package `medmnist`, where installed,
    downloads it. Splits are the publisher's; patients are not known.

    Attributes:
        subset: `path`, `chest` (multi-label), `derma`, `oct`, `pneumonia`, `retina`, `breast`, `blood`, `tissue`,
            `organa`, `organc` or `organs`, with or without `mnist` at the end.
        size: side in pixels: 28, 64, 128 or 224.
    """

    name: ClassVar[str] = "medmnist"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (MEDMNIST,)
    licence: ClassVar[str] = "CC BY 4.0; DermaMNIST CC BY-NC 4.0"
    redistributable: ClassVar[bool] = True
    origin: ClassVar[Origin] = medmnist_files.ORIGIN

    subset: Annotated[Name, BeforeValidator(_short)] = "pneumonia"
    size: Literal[28, 64, 128, 224] = 28

    @property
    def title(self) -> str:
        return f"{self.name} {self.subset}"

    @property
    def file(self) -> str:
        """Name of the npz file."""
        return f"{self.subset}mnist.npz" if self.size == 28 else f"{self.subset}mnist_{self.size}.npz"

    @property
    def files(self) -> tuple[RemoteFile, ...]:
        return (medmnist_files.published(self.subset, self.size),)

    @property
    def channels(self) -> Literal[1, 3]:
        """3 for the sets in colour, else 1."""
        return 3 if self.subset in COLOUR else 1

    def describe(self, source: DataSource) -> DataInfo:
        self._find(source)
        task: Literal["multilabel", "multiclass"] = "multilabel" if self.subset in MULTILABEL else "multiclass"
        return DataInfo(CLASSES[self.subset], (self.size, self.size), self.channels, task)

    def load(self, split: str, source: DataSource) -> ImageData:
        path = self._find(source)
        images, labels = read_npz(path, (f"{split}_images", f"{split}_labels"))
        images = self._images(images, path)
        labels = self._labels(labels, len(images), path)
        return image_data(split, images, labels, Decoder(self.size, self.channels), source)

    def fingerprint(self, source: DataSource) -> str:
        return fingerprint_npz(self._find(source))

    def _images(self, images: NDArray[Any], path: Path) -> NDArray[np.uint8]:
        shape = (self.size, self.size) if self.channels == 1 else (self.size, self.size, 3)
        if images.dtype != np.uint8 or images.shape[1:] != shape or not len(images):
            raise DataError(
                f"{path}: images are {images.dtype} {images.shape}; {self.title} at size {self.size} needs uint8 "
                f"(n, {', '.join(map(str, shape))}). Put the publisher's {self.file} there."
            )
        return images

    def _labels(self, labels: NDArray[Any], count: int, path: Path) -> NDArray[np.int64]:
        names = len(CLASSES[self.subset])
        multilabel = self.subset in MULTILABEL
        columns, highest = (names, 1) if multilabel else (1, names - 1)
        if labels.shape != (count, columns) or labels.dtype.kind not in "iu":
            raise DataError(
                f"{path}: labels are {labels.dtype} {labels.shape}; {count} images of {self.title} need whole numbers "
                f"({count}, {columns})."
            )
        if labels.min() < 0 or labels.max() > highest:
            found = f"{labels.min()} to {labels.max()}"
            raise DataError(f"{path}: labels range from {found}; {self.title} has 0 to {highest}.")
        return labels.astype(np.int64) if multilabel else labels[:, 0].astype(np.int64)

    def _find(self, source: DataSource) -> Path:
        what = f"{self.file} (https://medmnist.com, or `pip install medmnist` to have it downloaded there)"
        try:
            return source.find(f"medmnist/{self.file}", what=what)
        except DataUnavailable:
            if source.root is None or not _download(f"{self.subset}mnist", self.size, source.root / "medmnist"):
                raise
        return source.find(f"medmnist/{self.file}", what=what)


def _download(flag: str, size: int, folder: Path) -> bool:
    """Let the package `medmnist` fetch a file; False if it is not installed or gets no answer."""
    try:
        info = importlib.import_module("medmnist.info").INFO
        package = importlib.import_module("medmnist")
    except ImportError:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    try:
        getattr(package, info[flag]["python_class"])(split="test", download=True, root=str(folder), size=size)
    except (RuntimeError, OSError):
        return False
    return True
