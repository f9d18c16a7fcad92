"""Phantom chest radiographs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .base import Phantom
from .chest import Chest, chest
from .chest_findings import Finding, electrode, hazy_patch, mass, nodule, pneumothorax, skin_fold
from .drawing import Array, field
from .streams import Batch

CLASSES = ("no-finding", "pneumothorax", "mass", "nodule")
FINDINGS: dict[str, Finding] = {"pneumothorax": pneumothorax, "mass": mass, "nodule": nodule}
MIMICS: dict[Finding, float] = {skin_fold: 0.25, electrode: 0.2, hazy_patch: 0.3}
"""Harmless look-alikes with the probability of each, the same whatever the class."""


@dataclass(frozen=True)
class PhantomCXR(Phantom):
    """Frontal chest radiographs, drawn: findings of varied severity, and look-alikes (skin folds, electrodes, haze).

    Attributes:
        classes: 2 (no-finding, pneumothorax), 3 (and mass) or 4 (and nodule).
    """

    name: ClassVar[str] = "phantom-cxr"
    revision: ClassVar[int] = 1
    citation: ClassVar[str] = (
        "Procedural phantom, this project; imitates frontal views of ChestX-ray14 (Wang et al., CVPR 2017)"
    )
    channels: ClassVar[int] = 1

    classes: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.classes not in (2, 3, 4):
            raise ValueError(
                f"{self.name}: classes = {self.classes} is not drawn; give 2, 3 or 4 ({', '.join(CLASSES)})"
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        return CLASSES[: self.classes]

    def labels(self, batch: Batch) -> NDArray[np.int64]:
        return batch.classes([1] * self.classes, turnover=0.25)

    def draw(self, batch: Batch, labels: NDArray[np.int64]) -> Array:
        picture = chest(self.canvas(batch, shift=0.08, scale=(0.9, 1.08), angle=0.1), batch)
        for name in self.class_names[1:]:
            FINDINGS[name](picture, (labels == CLASSES.index(name)).astype(np.float32))
        return self.expose(picture)

    def expose(self, picture: Chest) -> Array:
        """The image as the detector gives it: look-alikes, exposure, contrast and noise of each view."""
        draws = picture.batch.view
        for mimic, probability in MIMICS.items():
            mimic(picture, draws.chance(probability))
        image = np.clip(picture.image + picture.markings, 0, 1)
        image = image ** field(draws.uniform(0.8, 1.25))
        image = field(draws.uniform(0.85, 1.1)) * image + field(draws.uniform(-0.06, 0.06))
        return image + self.grain(picture.batch, 0.012)
