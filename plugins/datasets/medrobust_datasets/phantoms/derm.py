"""Phantom dermatoscopic images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from .derm_traits import BENIGN, ISIC, ISIC_SHARES, MALIGNANT, Lesions, Looks, between
from .drawing import Array, Canvas, arc, blend, clouds, field, ramp
from .evidence import MedicalPhantom
from .streams import Batch

BINARY = {"benign": BENIGN, "malignant": MALIGNANT}


@dataclass(frozen=True)
class PhantomDerm(MedicalPhantom):
    """Dermatoscopic images, drawn: one lesion on skin, sometimes with hairs, bubbles or a dark rim.

    Images of a group show one lesion, so they share the label. A lesion may look in part like one of another class.
    They imitate ISIC 2018 task 3 (HAM10000).

    Attributes:
        classes: 2 (benign, malignant; equally frequent) or 7 (the classes of ISIC 2018 task 3 in about its
            proportions: about two thirds are NV).
    """

    name: ClassVar[str] = "phantom-derm"
    revision: ClassVar[int] = 3
    drawn_at: ClassVar[float] = 81

    classes: Literal[2, 7] = 2

    @property
    def traits(self) -> dict[str, Looks]:
        """The looks of each class."""
        return BINARY if self.classes == 2 else ISIC

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.traits)

    @property
    def shares(self) -> list[float]:
        """Relative frequency of each class."""
        return [1, 1] if self.classes == 2 else list(ISIC_SHARES.values())

    @property
    def plain_class(self) -> int:
        return self.class_names.index("benign" if self.classes == 2 else "NV")

    def labels(self, batch: Batch) -> NDArray[np.int64]:
        return batch.classes(self.shares)

    def draw(self, batch: Batch, labels: NDArray[np.int64]) -> Array:
        canvas = self.canvas(batch, shift=0.25, scale=(0.8, 1.1), angle=np.pi)
        drawn = np.floor(batch.patient.uniform(0, 0.9999) * self.classes).astype(np.int64)
        doubt = batch.patient.uniform(0, 1) ** 1.7 * (0.58 if self.classes == 2 else 0.42)
        lesions = between(list(self.traits.values()), labels, drawn, doubt)
        image = _lesion(canvas, batch, _skin(canvas, batch), lesions)
        image = _hairs(canvas, batch, image)
        return self._photograph(canvas, batch, image)

    def _photograph(self, canvas: Canvas, batch: Batch, image: Array) -> Array:
        """Bubbles in the gel, the rim of the dermatoscope, exposure, colour balance and noise."""
        draws = batch.view
        bubbles = draws.uniform(0.3, 0.8, 4) * draws.chance(0.12, 4)
        image = (
            image
            + canvas.spots(draws.uniform(-1, 1, 4), draws.uniform(-1, 1, 4), draws.uniform(0.012, 0.03, 4), bubbles)[
                ..., None
            ]
        )
        u, v = canvas.frame
        rim = ramp(np.sqrt(u * u + v * v) - field(draws.uniform(1.05, 1.35)), 0.25) * field(draws.chance(0.3))
        lit = (
            1
            - field(draws.uniform(0, 0.2)) * (u * u + v * v)
            + field(draws.normal(0.06)) * u
            + field(draws.normal(0.06)) * v
        )
        balance = draws.uniform(0.78, 1.15)[:, None] * draws.uniform(0.94, 1.06, 3)
        image = image * (lit * (1 - 0.9 * rim))[..., None] * balance[:, None, None, :]
        noise = self.grain(batch, 0.012, 3) * draws.uniform(0.2, 2.5)[:, None, None, None]
        exposed: Array = image + noise
        return exposed


def _skin(canvas: Canvas, batch: Batch) -> Array:
    draws = batch.patient
    fair, tan = np.array([0.88, 0.70, 0.65], np.float32), np.array([0.74, 0.54, 0.44], np.float32)
    tone = (fair + (tan - fair) * draws.uniform(0, 1)[:, None]) * (1 + draws.normal(0.03, 3))
    coarse = clouds(canvas.size, draws.normal(1, 12, 12), band=(1, 5))
    fine = clouds(canvas.size, batch.view.normal(1, 56, 56), band=(8, 27), slope=0.4)
    skin: Array = tone[:, None, None, :] * (1 + (0.03 * coarse + 0.015 * fine)[..., None])
    return skin


def _lesion(canvas: Canvas, batch: Batch, skin: Array, lesions: Lesions) -> Array:
    """Border and colours first, then what lies in them, from deep to superficial."""
    patient, view = batch.patient, batch.view
    n = len(batch)
    radius = patient.uniform(0.34, 0.62)
    zero = np.zeros(n, np.float32)
    waves = 2 / np.arange(2, 8, dtype=np.float32)[:, None]
    lobes = patient.normal(1, 6, 2) * waves * (lesions.waviness * patient.uniform(0.6, 1.4))[:, None, None]
    distance = canvas.blob_distance(zero, zero, radius * patient.uniform(0.85, 1.15), radius, zero, lobes) / field(
        radius
    )
    inside = ramp(distance, np.maximum(canvas.pixel / field(radius), field(lesions.softness)))

    shade = (1 + patient.normal(0.14))[:, None] * (1 + patient.normal(0.05, 3))
    size = canvas.size
    patch = clouds(size, patient.normal(1, 14, 14), band=(2, 6), slope=0.8)
    lean = lesions.lopsided * patient.uniform(1.0, 3.0)
    threshold = 1.6 * (field(lesions.patchiness) - 0.5) + field(lean) * (canvas.x / field(radius)) * 0.9
    rgb = blend(
        (lesions.body * shade)[:, None, None, :] + 0 * skin, lesions.patches * shade, ramp(patch + threshold, 0.7)
    )
    reticular = ramp(0.45 - np.abs(clouds(size, view.normal(1, 48, 48), band=(13, 23), slope=0.2)), 0.6)
    rgb = rgb * (1 - 0.42 * field(lesions.network) * (reticular - 0.35))[..., None]

    def places(count: int, spread: float) -> tuple[Array, Array]:
        at = patient.normal(spread, count, 2) * radius[:, None, None]
        return at[..., 0], at[..., 1]

    veil_x = -np.sign(lean) * radius * patient.uniform(0.0, 0.5)
    veil = canvas.spots(
        veil_x[:, None], (radius * patient.normal(0.25))[:, None], 0.36 * radius[:, None], lesions.veil[:, None]
    )
    rgb = blend(rgb, (0.47, 0.48, 0.55), np.minimum(veil, 0.9))
    globules = canvas.spots(
        *places(10, 0.45), patient.uniform(0.02, 0.045, 10), lesions.globules[:, None] * patient.uniform(0.2, 1, 10)
    )
    rgb = rgb * (1 - 0.7 * np.minimum(globules, 1))[..., None]
    scar = canvas.spots(zero[:, None], zero[:, None], 0.42 * radius[:, None], 1.2 * lesions.pale_centre[:, None])
    rgb = blend(rgb, (0.90, 0.78, 0.74), np.minimum(scar, 0.95))
    lakes = canvas.spots(*places(9, 0.42), patient.uniform(0.06, 0.11, 9), patient.uniform(0.5, 1.2, 9))
    rgb = blend(rgb, (0.62, 0.14, 0.24), ramp(lakes - 0.45, 0.4) * field(lesions.lacunae) * 0.8)
    rgb = blend(rgb, (0.78, 0.16, 0.18), np.minimum(_branches(canvas, batch, radius) * field(lesions.vessels), 0.85))
    milia = canvas.spots(*places(14, 0.5), patient.uniform(0.018, 0.04, 14), patient.uniform(0.3, 1.1, 14))
    rgb = blend(rgb, (0.95, 0.90, 0.82), np.minimum(milia * field(lesions.scale), 0.9))
    return blend(skin, rgb, inside * field(patient.uniform(0.75, 0.95)))


def _branches(canvas: Canvas, batch: Batch, radius: Array) -> Array:
    draws, count, points = batch.patient, 7, 14
    start = draws.normal(0.4, count, 2) * radius[:, None, None]
    path = arc(
        start, draws.uniform(0, 2 * np.pi, count), draws.uniform(0.25, 0.5, count), draws.normal(1.0, count), points
    )
    sigma = np.full(path.shape[:3], 0.018, np.float32)
    return canvas.strokes(path, sigma, np.ones_like(sigma))


def _hairs(canvas: Canvas, batch: Batch, image: Array) -> Array:
    """None on half of the images, else up to eight dark, thin, curved lines."""
    draws, count, points = batch.view, 8, 48
    shown = (np.arange(count) < draws.uniform(0, count)[:, None]) * draws.chance(0.5)[:, None]
    heading = draws.uniform(0, 2 * np.pi)[:, None] + draws.normal(0.5, count)
    path = arc(
        draws.uniform(-1.1, 0.9, count, 2), heading, draws.uniform(0.8, 1.8, count), draws.normal(0.5, count), points
    )
    sigma = np.full(path.shape[:3], 0.011, np.float32)
    lines = canvas.strokes(path, sigma, sigma * 0 + (draws.uniform(0.5, 0.9, count) * shown)[..., None])
    return blend(image, (0.16, 0.11, 0.09), np.minimum(lines, 0.85))
