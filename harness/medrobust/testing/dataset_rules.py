"""Rules for data sets: what they say, what they give, and what their identity rests on."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from ..contracts import DataInfo, Dataset, DataSource, ImageData, Members
from ..engine.context import default_data_root
from ..engine.splits import check_arrays
from ..errors import DataError, DataUnavailable
from ..grid.overlap import check_splits
from .opened import opened_files
from .rules import Broken, LeftOut, Rule, named, rule

LARGEST: Final = 64 << 20
"""Bytes of files that are copied to change one of them."""


@dataclass
class DatasetCase:
    """A data set with its files on this machine, if it has any."""

    dataset: Dataset

    @cached_property
    def source(self) -> DataSource:
        """Where its files are looked for."""
        return DataSource(default_data_root())

    @cached_property
    def info(self) -> DataInfo:
        """What it says of itself.

        Raises:
            LeftOut: if its files are not here.
        """
        try:
            return self.dataset.describe(self.source)
        except DataUnavailable as missing:
            raise LeftOut(f"its files are not here: {missing}") from None

    @cached_property
    def splits(self) -> dict[str, ImageData]:
        """All that it gives."""
        return {split: self.dataset.load(split, self.source) for split in self.info.splits}

    @cached_property
    def read(self) -> list[Path]:
        """Files of the data root that it reads, those of its images last."""
        root = self.source.root
        found: list[Path] = []
        with opened_files() as tables:
            loaded = {split: self.dataset.load(split, self.source) for split in self.info.splits}
        with opened_files() as images:
            for data in loaded.values():
                np.asarray(data.images[:1])
        for opened in (tables, images):
            found += sorted(file for file in opened if root is not None and file.is_relative_to(root))
        return found


@rule("missing files")
def missing_files(case: DatasetCase) -> None:
    """Where its files are missing it says so, naming what belongs where."""
    with tempfile.TemporaryDirectory() as empty:
        try:
            case.dataset.describe(DataSource(Path(empty)))
        except DataUnavailable as missing:
            if not str(missing).strip():
                raise Broken("raises DataUnavailable without a word") from None
            return
        except DataError:
            return
        except Exception as error:
            raise Broken(
                f"raises {type(error).__name__}: {error}; find files by `source.find(path, what=...)`, which says what "
                "is missing"
            ) from error
    raise LeftOut("it needs no files of the data root")


@rule("arrays")
def arrays(case: DatasetCase) -> None:
    """Images, labels and ids of every split are as `describe` says."""
    for split, data in case.splits.items():
        check_arrays(data, case.info, split, f"split '{split}'")


@rule("ids and patients")
def patients(case: DatasetCase) -> None:
    """No sample is there twice, and no patient in two splits, unless it declares `shared_groups`."""
    found = {
        split: Members(data.ids.tolist(), None if data.groups is None else data.groups.tolist())
        for split, data in case.splits.items()
    }
    check_splits(found, f"data set '{case.dataset.title}'", shared_groups=case.info.shared_groups)
    if case.info.grouped != any(data.groups is not None for data in case.splits.values()):
        raise Broken(f"says grouped = {case.info.grouped}, and gives {'no ' if case.info.grouped else ''}groups")


@rule("members")
def members(case: DatasetCase) -> None:
    """Who is in a split without decoding is who is there decoded."""
    said = case.dataset.members(case.source) if case.info else None
    if said is None:
        raise LeftOut("it does not say who is in its splits without decoding")
    for split, data in case.splits.items():
        if list(said[split].ids) != data.ids.tolist():
            raise Broken(f"`members` names other ids, or another order, than `load('{split}')`")


@rule("every class")
def every_class(case: DatasetCase) -> None:
    """Every class of a data set that is drawn has a training image."""
    data = case.splits.get("train")
    if data is None or data.labels is None:
        raise LeftOut("it has no labelled training images")
    if case.read:
        raise LeftOut("which classes there are is said by the files on this machine")
    classes = len(case.info.classes)
    counts = data.labels.sum(axis=0) if data.labels.ndim == 2 else np.bincount(data.labels, minlength=classes)
    if empty := [name for name, count in zip(case.info.classes, counts, strict=True) if not count]:
        raise Broken(f"no training image is of class {named(empty)}")


@rule("twice the same")
def twice(case: DatasetCase) -> None:
    """It gives the same images in the same order every time."""
    for split, data in case.splits.items():
        again = case.dataset.load(split, case.source)
        if data.ids.tolist() != again.ids.tolist():
            raise Broken(f"split '{split}' has another order the second time; sort the files, seed the draws")
        some = slice(0, 8)
        if not np.array_equal(data.images[some], again.images[some]):
            raise Broken(f"split '{split}' has other pixels the second time")


@rule("fingerprint")
def fingerprint(case: DatasetCase) -> None:
    """Its fingerprint is the same for the same files wherever they are, and changes with them."""
    read = case.read
    first = case.dataset.fingerprint(case.source)
    if first != case.dataset.fingerprint(case.source):
        raise Broken("two fingerprints of the same files differ")
    if not read:
        raise LeftOut("it reads no file of the data root")
    root = case.source.root
    assert root is not None
    folders = sorted({root / file.relative_to(root).parts[0] for file in read})
    if sum(file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file()) > LARGEST:
        raise LeftOut(f"its files are more than {LARGEST >> 20} MB")
    with tempfile.TemporaryDirectory() as other:
        for folder in folders:
            (shutil.copytree if folder.is_dir() else shutil.copyfile)(folder, Path(other) / folder.name)
        moved = DataSource(Path(other))
        if first != case.dataset.fingerprint(moved):
            raise Broken("is another one where the same files lie elsewhere; it must not depend on places and dates")
        changed = Path(other) / read[-1].relative_to(root)
        content = changed.read_bytes()
        middle = len(content) // 2
        # Names and sizes are enough of a fingerprint of images, and of an archive what is in it.
        others = (content + b"\0", content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        if not any(_noticed(case, moved, first, changed, held) for held in others):
            raise Broken(
                f"does not change when {read[-1].name} does, so that records of other images count as these; "
                "see medrobust.fingerprint_files"
            )


def _noticed(case: DatasetCase, source: DataSource, before: str, file: Path, content: bytes) -> bool:
    """Whether a file that holds something else has another fingerprint, or is refused when it is read."""
    file.write_bytes(content)
    try:
        if case.dataset.fingerprint(source) != before:
            return True
        for split in case.info.splits:
            np.asarray(case.dataset.load(split, source).images[:1])
    except Exception:  # noqa: BLE001 - whatever it raises, it has noticed
        return True
    return False


RULES: tuple[Rule, ...] = (missing_files, arrays, patients, members, every_class, twice, fingerprint)
