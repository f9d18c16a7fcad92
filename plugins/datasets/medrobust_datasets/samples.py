"""What a survey of a data set's files yields, before any image is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medrobust import DataError, Task

Label = int | tuple[int, ...] | None
"""Class index, one 0/1 entry per label name (multi-label), or None where labels are absent."""


@dataclass(frozen=True)
class Sample:
    """One image file and what is known of it.

    Attributes:
        id: unique within the data set and independent of where the data set lies.
        file: the image.
        label: see :data:`Label`.
        split: `train`, `val` or `test` where the publisher says so; None to be assigned.
        group: patient, lesion or slide, where known.
    """

    id: str
    file: Path
    label: Label
    split: str | None = None
    group: str | None = None

    @property
    def unit(self) -> str:
        """What must not be torn apart by a split: the group, or the image itself where no group is known."""
        return self.id if self.group is None else self.group


@dataclass(frozen=True)
class Survey:
    """All samples of a data set.

    Attributes:
        root: folder that holds every file of `samples`.
        samples: in any order; ids are unique.
        classes: class or label names in index order; empty where labels are absent.
        tables: small files (lists, ground truth) whose bytes belong to the fingerprint.
    """

    root: Path
    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    task: Task = "multiclass"
    tables: tuple[Path, ...] = ()


def label_array(samples: list[Sample]) -> NDArray[np.int64] | None:
    """Class indices (n,), a 0/1 matrix (n, labels), or None if no sample has a label.

    Raises:
        DataError: if some samples have a label and others have none.
    """
    labels = [sample.label for sample in samples if sample.label is not None]
    if not labels:
        return None
    if len(labels) < len(samples):
        missing = next(sample.id for sample in samples if sample.label is None)
        count = len(samples) - len(labels)
        raise DataError(f"{count} of {len(samples)} images have no label, such as {missing}; label all or none.")
    return np.asarray(labels, dtype=np.int64)


def class_indices(samples: Sequence[Sample]) -> list[int] | None:
    """The class of each sample; None where labels are absent or several."""
    labels = [sample.label for sample in samples if isinstance(sample.label, int)]
    return labels if len(labels) == len(samples) else None


def group_array(samples: list[Sample]) -> NDArray[np.str_] | None:
    """Group ids (n,), an image without one standing for itself; None if no sample has a group."""
    if all(sample.group is None for sample in samples):
        return None
    return np.asarray([sample.unit for sample in samples], dtype=np.str_)
