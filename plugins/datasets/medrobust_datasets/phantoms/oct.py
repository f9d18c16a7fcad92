"""Phantom optical coherence tomography of the retina."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .drawing import Array, Canvas, clouds, field, ramp
from .evidence import MedicalPhantom
from .streams import Batch

CLASSES = ("CNV", "DME", "DRUSEN", "NM")
CNV, DME, DRUSEN, NORMAL = range(4)

LAYERS = (
    (0.00, 0.70), (0.09, 0.66), (0.13, 0.46), (0.33, 0.44), (0.37, 0.24), (0.45, 0.24), (0.48, 0.44), (0.53, 0.42),
    (0.57, 0.17), (0.79, 0.17), (0.82, 0.72), (0.87, 0.66), (0.89, 0.40), (0.91, 0.40), (0.93, 0.92), (1.00, 0.88),
)  # fmt: skip
"""Brightness by depth, from the inner limiting membrane (0) to the lower edge of the pigment epithelium (1)."""


@dataclass(frozen=True)
class PhantomOCT(MedicalPhantom):
    """Cross-sections of the macula, drawn: bright and dark layers under speckle.

    Choroidal neovascularisation (CNV) lifts the pigment epithelium over bright tissue and fluid, diabetic macular
    oedema (DME) fills the pit and leaves dark cysts, drusen are small bumps under the pigment epithelium; NM is normal.
    Normal eyes may have a tiny druse, and every eye has shadows of vessels. They imitate the OCT set of Kermany et
    al.
    """

    name: ClassVar[str] = "phantom-oct"
    revision: ClassVar[int] = 3
    drawn_at: ClassVar[float] = 60
    channels: ClassVar[int] = 1

    @property
    def class_names(self) -> tuple[str, ...]:
        return CLASSES

    @property
    def plain_class(self) -> int:
        return NORMAL

    def labels(self, batch: Batch) -> NDArray[np.int64]:
        return batch.classes([1, 1, 1, 1], turnover=0.15)

    def draw(self, batch: Batch, labels: NDArray[np.int64]) -> Array:
        canvas = self.canvas(batch, shift=0.1, scale=(0.9, 1.15), angle=0.14)
        patient, view = batch.patient, batch.view
        severity = view.uniform(0.35, 1.0)
        membrane, oedema = severity * (labels == CNV), severity * (labels == DME)
        fovea = patient.uniform(-0.25, 0.25)
        across = canvas.x - field(fovea)
        bowl = field(patient.uniform(-0.05, 0.14)) * canvas.x**2
        thickness = patient.uniform(0.46, 0.58) + 0.13 * oedema
        base = field(patient.uniform(0.2, 0.32)) + bowl
        lift, druse = _pigment_bumps(canvas, batch, labels, membrane)
        epithelium = base - lift - druse
        pit = patient.uniform(0.10, 0.18) * (1 - 0.9 * oedema) * (1 - 0.5 * membrane)
        pit_width = field(patient.uniform(0.17, 0.26))
        swelling = field(0.10 * oedema) * np.exp(-0.5 * (across / 0.45) ** 2)
        top = base - field(thickness) + field(pit) * np.exp(-0.5 * (across / pit_width) ** 2) - swelling - 0.55 * lift
        depth = (canvas.y - top) / np.maximum(epithelium - top, 0.08)
        image = _tissue(canvas, batch, depth, base, epithelium)
        image = _subretinal(canvas, batch, image, membrane, fovea, base, lift)
        image = _cysts(canvas, batch, image, depth, oedema, fovea)
        return self._scan(canvas, batch, image)

    def _scan(self, canvas: Canvas, batch: Batch, image: Array) -> Array:
        """Shadows of vessels, signal strength, and speckle that grows with the signal."""
        draws = batch.view
        at = draws.uniform(-1, 1, 4)[..., None, None]
        shadow = (draws.uniform(0.1, 0.4, 4) * draws.chance(0.5, 4))[..., None, None]
        width = np.float32(0.03) + canvas.pixel[:, None] / 3
        shade = np.prod(1 - shadow * np.exp(-0.5 * ((canvas.frame[0][None] - at) / width) ** 2), axis=1)
        image = image * shade * field(draws.uniform(0.65, 1.25))
        speckle = self.grain(batch, 0.16) + 0.10 * clouds(canvas.size, draws.normal(1, 64, 64), band=(12, 31), slope=0)
        dark = np.abs(self.grain(batch, 0.02)) * field(draws.uniform(0.2, 2.5)) + field(draws.uniform(0, 0.05))
        exposed: Array = image * (1 + speckle) + 0.04 + dark
        return exposed


def _pigment_bumps(canvas: Canvas, batch: Batch, labels: NDArray[np.int64], membrane: Array) -> tuple[Array, Array]:
    """How far the pigment epithelium is lifted: by a membrane, and by drusen."""
    draws, slots = batch.view, 6
    x = canvas.x
    centre = draws.uniform(-0.4, 0.4)
    height = membrane * draws.uniform(0.16, 0.30)
    wavy = 1 + 0.25 * np.sin(x * field(draws.uniform(6, 14)) + field(draws.uniform(0, 6.3)))
    lift = field(height) * np.exp(-0.5 * ((x - field(centre)) / field(draws.uniform(0.16, 0.30))) ** 2) * wavy
    sick = draws.uniform(0, 1)
    count = np.select(
        [labels == DRUSEN, labels == NORMAL], [2 + np.floor(sick * 5), draws.chance(0.2)], draws.chance(0.3)
    )
    tall = np.where(labels == DRUSEN, draws.uniform(0.055, 0.13), draws.uniform(0.02, 0.05))
    druse = np.zeros_like(lift)
    at, width, ratio = draws.uniform(-0.8, 0.8, slots), draws.uniform(0.05, 0.10, slots), draws.uniform(0.6, 1.2, slots)
    for k in range(slots):
        shown = field(tall * ratio[:, k] * (k < count))
        squared = ((x - field(at[:, k])) / field(width[:, k])) ** 2
        druse = np.maximum(druse, shown * np.exp(-0.5 * squared * squared))
    return lift, druse


def _tissue(canvas: Canvas, batch: Batch, depth: Array, base: Array, epithelium: Array) -> Array:
    """Vitreous, retina, what lies under a lifted pigment epithelium, and the choroid that fades with depth."""
    at, brightness = zip(*LAYERS, strict=True)
    retina = np.interp(depth, at, brightness).astype(np.float32)
    in_retina = canvas.edge(depth * 0.5) * canvas.edge(epithelium - canvas.y)
    below = canvas.y - base
    choroid = (0.50 + 0.10 * clouds(canvas.size, batch.view.normal(1, 32, 32), band=(5, 15), slope=0.3)) * np.exp(
        -np.maximum(below, 0) / field(batch.patient.uniform(0.25, 0.5))
    )
    under = canvas.edge(canvas.y - epithelium)
    pocket = under * canvas.edge(-below)
    tissue: Array = retina * in_retina + choroid * under * (1 - pocket) + 0.40 * pocket
    return tissue


def _subretinal(
    canvas: Canvas, batch: Batch, image: Array, membrane: Array, fovea: Array, base: Array, lift: Array
) -> Array:
    """Bright, ragged tissue of the membrane and a lens of dark fluid beside it."""
    draws = batch.view
    ragged = 1 + 0.5 * clouds(canvas.size, draws.normal(1, 24, 24), band=(4, 11), slope=0.5)
    inside = ramp(lift - 0.03, 0.05) * ramp(canvas.y - base + lift + 0.06, 0.06) * ramp(base - canvas.y, 0.06)
    image = image + field(draws.uniform(0.1, 0.35)) * inside * ragged
    side = draws.side() * draws.uniform(0.2, 0.5)
    height = draws.uniform(0.05, 0.11)
    middle = base - lift - 0.09 - field(height)
    dx = (canvas.x - field(fovea + side)) / field(draws.uniform(0.18, 0.35))
    fluid = canvas.edge((1 - np.sqrt(dx**2 + ((canvas.y - middle) / field(height)) ** 2)) * field(height))
    return image * (1 - 0.85 * fluid * field((membrane > 0) * draws.chance(0.7)))


def _cysts(canvas: Canvas, batch: Batch, image: Array, depth: Array, oedema: Array, fovea: Array) -> Array:
    """Dark round spaces within the retina, and a few bright exudates."""
    draws, slots = batch.view, 8
    cx = fovea[:, None] + draws.normal(0.30, slots)
    cy = draws.uniform(-0.30, 0.10, slots)
    radius = draws.uniform(0.035, 0.085, slots)
    shown = (np.arange(slots) < 2 + np.floor(7 * oedema[:, None])) * (oedema[:, None] > 0)
    spaces = ramp(canvas.spots(cx, cy, radius, 1.3 * shown) - 0.5, 0.4)
    inside = ramp(depth - 0.12, 0.1) * ramp(0.82 - depth, 0.1)
    image = image * (1 - 0.85 * spaces * inside)
    bright = canvas.spots(cx, cy + 0.08, np.full_like(radius, 0.022), 0.7 * shown * draws.chance(0.4, slots))
    return image + bright * inside
