"""The images that a model is judged on, and others to craft on, as arrays of this process."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..contracts import ImageData, Task
from ..engine.data import load_part
from ..engine.session import Session
from ..errors import DataError
from ..grid.parts import Part
from ..grid.slices import Slice, cut
from ..plugins.in_memory import image_data
from ..plugins.specs import Spec, build
from .tables import table_from

FOLDER: Final = {"name": "image-folder", "test": 0.5, "val": 0.0}
"""How a folder of class folders is read: where no split is named, half is judged and half is for crafting."""
LOOSE: Final = {"name": "openimages-folder", "test": 0.5}
"""How a folder of images without class folders is read."""
SIDE: Final = 224
"""Side in pixels of images whose files have several sizes."""
LARGEST: Final = 512
LOOKED_AT: Final = 20
"""Files whose size is looked at."""
CRAFTING: Final = 400
"""Images that universal perturbations are crafted on, and that a surrogate is trained on, at most."""


@dataclass(frozen=True)
class Subject:
    """Images of one size, with what is known of them.

    Attributes:
        label: what they are called; no path.
        judged: the images that attacks are tried on.
        crafting: others, to craft universal perturbations and train a surrogate on; None if there are none.
        classes: names of the classes (of the labels, if there are several an image); empty where images have none.
        task: what the labels are.
        notes: what is to be said of them, by topic.
        shared_groups: whether some groups are declared to be in both.
    """

    label: str
    judged: ImageData
    crafting: ImageData | None
    classes: tuple[str, ...]
    task: Task
    notes: Mapping[str, str]
    shared_groups: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        _, height, width, channels = self.judged.images.shape
        return channels, height, width

    @property
    def labelled(self) -> bool:
        return self.judged.labels is not None


def from_arrays(
    images: NDArray[Any] | Tensor,
    labels: NDArray[Any] | Tensor | Sequence[int] | None,
    *,
    classes: Sequence[str] = (),
    groups: Sequence[str] | None = None,
    crafting: tuple[Any, Any] | None = None,
    label: str = "images",
    limit: int,
) -> Subject:
    """Arrays of a program; without images for crafting, a quarter of them is set aside for that.

    Raises:
        DataError: if they are no images, or labels do not fit them.
    """
    data = image_data(images, labels, groups=groups)
    if not len(data):
        raise DataError("there are no images to judge on")
    if data.labels is not None and len(data.labels) != len(data):
        raise DataError(f"{len(data.labels)} labels for {len(data)} images")
    if data.labels is not None and data.labels.ndim == 2 and data.labels.shape[1] == 1:
        data = replace(data, labels=data.labels[:, 0])
    task: Task = "multilabel" if data.labels is not None and data.labels.ndim == 2 else "multiclass"
    names = tuple(classes) or _numbered(data.labels)
    _check_labels(data.labels, names, task)
    others: ImageData | None
    if crafting is not None:
        others = image_data(crafting[0], crafting[1])
        others = replace(others, ids=np.array([f"crafting-{i}" for i in others.ids], dtype=str))
        if others.images.shape[1:] != data.images.shape[1:]:
            raise DataError(
                f"crafting: images {others.images.shape[1:]} are not like those judged, {data.images.shape[1:]}"
            )
    else:
        data, others = _set_aside(data)
    notes = {"images": "handed in by a program"}
    return Subject(label, _at_most(data, limit), others and _at_most(others, CRAFTING), names, task, notes)


def _numbered(labels: NDArray[np.int64] | None) -> tuple[str, ...]:
    if labels is None:
        return ()
    count = labels.shape[1] if labels.ndim == 2 else max(int(labels.max(initial=0)) + 1, 2)
    return tuple(f"{'label' if labels.ndim == 2 else 'class'} {i}" for i in range(count))


def _check_labels(labels: NDArray[np.int64] | None, classes: Sequence[str], task: Task) -> None:
    if labels is None:
        return
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    above = 2 if task == "multilabel" else len(classes)
    if low < 0 or high >= above:
        raise DataError(f"labels run from {low} to {high}, expected 0 to {above - 1}")
    if task == "multilabel" and labels.shape[1] != len(classes):
        raise DataError(f"labels have {labels.shape[1]} columns for {len(classes)} names")


def _set_aside(data: ImageData) -> tuple[ImageData, ImageData | None]:
    """Most of the images, and a quarter for crafting, by whole groups; nothing of few images."""
    aside = cut(data, Slice.parse("test[75%:]"), 0)
    if len(aside) < 8 or len(data) - len(aside) < 16:
        return data, None
    return data.take(np.setdiff1d(np.arange(len(data)), aside)), data.take(aside)


def _at_most(data: ImageData, limit: int) -> ImageData:
    if len(data) > limit:
        data = data.take(cut(data, Slice("test", limit=limit), 0))
    return _mixed(data)


def _mixed(data: ImageData) -> ImageData:
    """Images in memory, in an order that has nothing to do with their classes: of some only the first are looked at."""
    data = data.take(np.random.default_rng(0).permutation(len(data)))
    return replace(data, images=np.ascontiguousarray(data.images[:]))


# Data sets and folders -----------------------------------------------------------------------------------------------


def dataset_of(text: str, session: Session, *, size: int | None, channels: int | None) -> tuple[Spec, dict[str, str]]:
    """The data set that `--data` names: a folder, a plugin, or a table; and what was found out about its images.

    Raises:
        MedrobustError: if it is none of these.
    """
    folder = Path(text).expanduser()
    notes: dict[str, str] = {}
    if "=" not in text and folder.is_dir():
        classed = any(each.is_dir() and not each.name.startswith(".") for each in folder.iterdir())
        table = {**(FOLDER if classed else LOOSE), "path": str(folder.absolute())}
        if size is None:
            size, why = _side(folder)
            notes["size"] = f"{size}x{size} pixels, {why}"
        table |= {"size": size, "channels": channels or 3}
    elif "=" not in text and (folder.suffix or "/" in text or "\\" in text) and not folder.exists():
        raise DataError(f"--data: there is no folder {text}")
    else:
        table = table_from(text, "--data")
        table |= {key: value for key, value in (("size", size), ("channels", channels)) if value and key not in table}
    name = str(table.pop("name"))
    return build(session.registry.find("dataset", name), table, session.registry), notes


def _side(folder: Path) -> tuple[int, str]:
    """The side of the images in a folder, and how it is known."""
    sides = set()
    for file in itertools.islice(_files(folder), LOOKED_AT):
        try:
            with Image.open(file) as image:
                sides.add(image.size)
        except OSError:
            continue
    if len(sides) == 1 and (side := sides.pop())[0] == side[1] <= LARGEST:
        return side[0], "the size of the files (--size N declares another)"
    return SIDE, "since the files have several sizes or no square one (--size N declares another)"


def _files(folder: Path) -> Iterator[Path]:
    """Files of a folder and of the folders in it, a few of each, links followed."""
    for each in sorted(folder.iterdir()):
        if each.is_dir():
            yield from itertools.islice(_files(each), 5)
        elif not each.name.startswith("."):
            yield each


def from_dataset(dataset: Spec, session: Session, *, limit: int, label: str, notes: Mapping[str, str]) -> Subject:
    """The images of a data set: the test split where there is one, and training images for crafting.

    Raises:
        DataUnavailable: if files are missing.
        DataError: if images cannot be read, or are in several splits.
    """
    info, fields = session.metadata.data(dataset)
    split = next(s for s in ("test", "val", "train") if s in info.splits)
    others = next((s for s in ("train", "val") if s in info.splits and s != split), None)

    def load(name: str, most: int) -> ImageData:
        return _mixed(load_part(Part(dataset, fields, Slice(name, limit=most), 0), session.context).data)

    judged = load(split, limit)
    crafting = load(others, CRAFTING) if others else None
    if crafting is None:
        judged, aside = _set_aside(judged)
        crafting = aside and _at_most(aside, CRAFTING)
        judged = _at_most(judged, limit)
    told = {**notes, "images": f"split '{split}'"}
    return Subject(label, judged, crafting, info.classes, info.task, told, info.shared_groups)
