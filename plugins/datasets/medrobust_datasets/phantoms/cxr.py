"""Phantom chest radiographs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from medrobust import Task

from .chest import Chest, chest
from .chest_diseases import DISEASES
from .chest_findings import Finding, electrode, hazy_patch, mass, nodule, pneumothorax, skin_fold
from .drawing import Array, Canvas, field
from .evidence import MedicalPhantom
from .streams import Batch

CLASSES = ("no-finding", "pneumothorax", "mass", "nodule")
FINDINGS: dict[str, Finding] = {"pneumothorax": pneumothorax, "mass": mass, "nodule": nodule}
MIMICS: dict[Finding, float] = {skin_fold: 0.25, electrode: 0.15, hazy_patch: 0.3}
"""Harmless look-alikes with the probability of each, the same whatever the class."""


@dataclass(frozen=True)
class PhantomCXR(MedicalPhantom):
    """Frontal chest radiographs, drawn: findings of varied severity, and look-alikes (skin folds, electrodes, haze).

    They imitate the frontal views of ChestX-ray14.

    Attributes:
        classes: 2 (no-finding, pneumothorax), 3 (and mass) or 4 (and nodule); for the multi-class task only.
        task: `multiclass`, or `multilabel` with the 14 findings of ChestX-ray14, any number of which an image may have;
            a third of the patients have none.
    """

    name: ClassVar[str] = "phantom-cxr"
    revision: ClassVar[int] = 2
    drawn_at: ClassVar[float] = 34
    channels: ClassVar[int] = 1

    classes: Literal[2, 3, 4] = 2
    task: Task = "multiclass"

    def __post_init__(self) -> None:
        if self.task == "multilabel" and self.classes != 2:
            raise ValueError(
                f"{self.name}: classes = {self.classes} and task = 'multilabel', which has 14 labels; leave out classes"
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        return CLASSES[: self.classes] if self.task == "multiclass" else tuple(DISEASES)

    @property
    def label_type(self) -> Task:
        return self.task

    def labels(self, batch: Batch) -> NDArray[np.int64]:
        if self.task == "multilabel":
            return _diseases(batch)
        return batch.classes([1] * self.classes, turnover=0.25)

    def draw(self, batch: Batch, labels: NDArray[np.int64]) -> Array:
        canvas = self.canvas(batch, shift=0.08, scale=(0.9, 1.08), angle=0.1)
        if self.task == "multilabel":
            return self.expose(_ill_chest(canvas, batch, labels))
        picture = chest(canvas, batch)
        for name in self.class_names[1:]:
            FINDINGS[name](picture, (labels == CLASSES.index(name)).astype(np.float32))
        return self.expose(picture)

    def expose(self, picture: Chest) -> Array:
        """The image as the detector gives it: look-alikes, exposure, contrast and noise of each view."""
        draws = picture.batch.view
        for mimic, probability in MIMICS.items():
            mimic(picture, draws.chance(probability))
        image = picture.image + picture.markings
        image = np.clip(image + 0.8 * (0.45 - image.mean(axis=(1, 2), keepdims=True)), 0, 1)  # automatic exposure
        image = image ** field(draws.uniform(0.8, 1.25))
        image = field(draws.uniform(0.85, 1.1)) * image + field(draws.uniform(-0.06, 0.06))
        exposed: Array = image + self.grain(picture.batch, 0.012)
        return exposed


def _diseases(batch: Batch) -> NDArray[np.int64]:
    """A 0/1 matrix: two thirds of the patients are ill, and a finding is seen on most of their images."""
    shares = np.array([share for share, _ in DISEASES.values()], dtype=np.float32)
    ill = (batch.position < 2 / 3)[:, None]
    has = ill & (batch.patient.uniform(0, 1, len(shares)) < shares)
    return (has & (batch.view.chance(0.85, len(shares)) > 0)).astype(np.int64)


def _ill_chest(canvas: Canvas, batch: Batch, labels: NDArray[np.int64]) -> Chest:
    present = dict(zip(DISEASES, labels.T.astype(np.float32), strict=True))
    widening = present["Cardiomegaly"] * batch.view.uniform(0.22, 0.5)
    picture = chest(canvas, batch, heart_scale=1 + widening, inflation=0.14 * present["Emphysema"])
    for name, (_, finding) in DISEASES.items():
        finding(picture, present[name])
    return picture
