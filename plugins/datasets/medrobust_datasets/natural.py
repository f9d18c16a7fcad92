"""Natural images, to craft universal perturbations on (minagi2022) and to pre-train on."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from medrobust import DataError, DataSource, Origin, Reference

from . import origins
from .base import FileDataset, HeldOut
from .decoding import Decoder
from .layouts import list_images, place, split_folders
from .references import IMAGENET, OPEN_IMAGES
from .samples import Sample, Survey

_WORDNET_ID = re.compile(r"n\d{8}")


@dataclass(frozen=True, kw_only=True)
class NaturalImages(FileDataset):
    """A folder of natural images, which needs no splits and no labels.

    Where no split is named, a share `test` by a hash of the file names is the test split and all other images are for
    training or crafting; the two are disjoint.
    """

    val: HeldOut = 0.0
    test: HeldOut = 0.1


@dataclass(frozen=True, kw_only=True)
class ImageNetFolder(NaturalImages):
    """Images of ImageNet: class folders, or a flat folder of files.

    Layouts below `path`: `{class}/*`, `train/{class}/*` and `val/{class}/*` as in ILSVRC2012 (its val is the test split
    here), or files without class folders. A file is identified by its relative path.

    Attributes:
        path: the folder, absolute or below the data root.
        labels: `auto` takes class folders as labels and leaves flat files unlabelled; `none` leaves all unlabelled;
            `wordnet` reads the WordNet id at the beginning of each file name. Classes are in alphabetical order, which
            is torchvision's order if all 1000 are there.
    """

    name: ClassVar[str] = "imagenet-folder"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (IMAGENET,)
    licence: ClassVar[str] = "research only (ImageNet terms of access)"
    origin: ClassVar[Origin] = origins.IMAGENET

    path: str = "natural/imagenet-sample"
    labels: Literal["auto", "none", "wordnet"] = "auto"

    def survey(self, source: DataSource) -> Survey:
        root = source.find(
            self.path,
            what="the folder of ImageNet images (https://image-net.org; class folders, or files side by side)",
        )
        files = list_images(root)
        paths = [file.relative_to(root) for file in files]
        has_splits = split_folders(paths)
        places = [place(path, has_splits=has_splits) for path in paths]
        names = [self._class(path, folder) for path, (_, folder) in zip(paths, places, strict=True)]
        classes = tuple(sorted({name for name in names if name is not None}))
        splits = [split for split, _ in places]
        if "test" not in splits:
            splits = ["test" if split == "val" else split for split in splits]
        samples = tuple(
            Sample(path.as_posix(), file, None if name is None else classes.index(name), split)
            for file, path, name, split in zip(files, paths, names, splits, strict=True)
        )
        return Survey(root, samples, classes)

    def _class(self, path: Path, folder: str | None) -> str | None:
        if self.labels != "wordnet":
            return folder if self.labels == "auto" else None
        if (match := _WORDNET_ID.match(path.name)) is None:
            raise DataError(
                f"{path} does not begin with a WordNet id such as n01440764; set labels = 'auto' or 'none'."
            )
        return match[0]


@dataclass(frozen=True, kw_only=True)
class OpenImagesFolder(NaturalImages):
    """Images of Open Images, or any folder of natural images, without labels.

    Layout: files at any depth below `path`, identified by their relative path.

    Attributes:
        path: the folder, absolute or below the data root.
        rescale_max: multiply each resized image so that its largest value is 255, as minagi2022's code does for these
            images and not for ImageNet's.
    """

    name: ClassVar[str] = "openimages-folder"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (OPEN_IMAGES,)
    licence: ClassVar[str] = "CC BY 2.0 for the images of Open Images"
    origin: ClassVar[Origin] = origins.OPEN_IMAGES

    path: str = "natural/openimages"
    rescale_max: bool = False

    def decoder(self) -> Decoder:
        return replace(super().decoder(), stretch=self.rescale_max)

    def survey(self, source: DataSource) -> Survey:
        root = source.find(
            self.path, what="the folder of Open Images files (https://storage.googleapis.com/openimages/web)"
        )
        samples = (Sample(file.relative_to(root).as_posix(), file, None) for file in list_images(root))
        return Survey(root, tuple(samples), ())
