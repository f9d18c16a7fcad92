"""Phantom histology: sections stained with haematoxylin (purple nuclei) and eosin (pink)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from .drawing import Array, Canvas, blend, clouds, field, ramp
from .evidence import MedicalPhantom
from .streams import Batch

V = TypeVar("V")

GLANDS, ROUND, SCATTERED = 4, 15, 46
"""Places for glands, for nuclei in a gland, and for nuclei in the tissue between."""


class Tissue(NamedTuple, Generic[V]):
    """Architecture: the mean of a class, or of each of n patches. Lengths are in units of half the image."""

    glands: V
    """Number of glands in view, 0 to 4."""
    gland_radius: V
    filling: V
    """0: one row of nuclei around an open lumen; 1: nuclei everywhere in the gland."""
    scattered: V
    """Share of the places between glands that hold a nucleus."""
    nucleus: V
    """Radius of a nucleus."""
    variety: V
    """Relative spread of that radius (pleomorphism)."""
    elongation: V
    """Distance between the ends of a nucleus, in radii."""
    pallor: V
    """How much lighter and more mottled than ink a nucleus is."""


NORMAL = Tissue(1.7, 0.40, 0.05, 0.60, 0.064, 0.12, 0.6, 0.05)
BENIGN = Tissue(3.3, 0.30, 0.20, 0.45, 0.060, 0.15, 1.4, 0.10)
IN_SITU = Tissue(1.8, 0.50, 0.95, 0.35, 0.078, 0.22, 0.5, 0.35)
INVASIVE = Tissue(0.4, 0.34, 0.60, 0.75, 0.086, 0.35, 0.9, 0.45)

TWO = {"normal": NORMAL, "tumour": INVASIVE}
FOUR = {"normal": NORMAL, "benign": BENIGN, "in-situ": IN_SITU, "invasive": INVASIVE}


@dataclass(frozen=True)
class PhantomHistology(MedicalPhantom):
    """Patches of glandular tissue, drawn: classes differ in architecture and in nuclei, not in the strength of stain.

    Patches of a patient come from one slide: they share stain and sectioning, but not always the class. They
    imitate PatchCamelyon with 2 classes and BACH with 4.

    Attributes:
        classes: 2 (normal, tumour) or 4 (normal, benign, in-situ, invasive).
    """

    name: ClassVar[str] = "phantom-histology"
    revision: ClassVar[int] = 2
    drawn_at: ClassVar[float] = 80

    classes: Literal[2, 4] = 2

    @property
    def tissues(self) -> dict[str, Tissue[float]]:
        """The architecture of each class."""
        return TWO if self.classes == 2 else FOUR

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.tissues)

    def labels(self, batch: Batch) -> NDArray[np.int64]:
        return batch.classes([1] * self.classes, turnover=0.4)

    def draw(self, batch: Batch, labels: NDArray[np.int64]) -> Array:
        view = batch.view
        canvas = self.canvas(batch, shift=0.2, scale=(0.9, 1.15), angle=np.pi)
        table = np.array(list(self.tissues.values()), dtype=np.float32)
        others = np.floor(view.uniform(0, 0.9999) * self.classes).astype(np.int64)
        doubt = view.uniform(0, 1)[:, None] ** 1.7 * (0.66 if self.classes == 2 else 0.5)
        tissue: Tissue[Array] = Tissue(*(table[labels] + (table[others] - table[labels]) * doubt).T)
        stroma = _stroma(canvas, batch)
        nuclei, epithelium, lumen = _cells(canvas, batch, tissue)
        image = blend(stroma, (0.80, 0.58, 0.76), 0.6 * epithelium)
        image = blend(image, (0.95, 0.92, 0.95), 0.9 * lumen)
        mottled = clouds(canvas.size, view.normal(1, 48, 48), band=(10, 23), slope=0)
        ink = nuclei * (0.92 - field(tissue.pallor) * (0.5 + 0.25 * mottled))
        image = blend(image, (0.30, 0.18, 0.48), np.clip(ink, 0, 1))
        return self._stain(batch, image)

    def _stain(self, batch: Batch, image: Array) -> Array:
        """Strength and hue of the stain (per slide), thickness and light (per patch), noise."""
        slide, view = batch.patient, batch.view
        strength = (slide.uniform(0.6, 1.4) * view.uniform(0.8, 1.2))[:, None] * (1 + slide.normal(0.10, 3))
        density = -np.log(np.clip(image, 0.02, 1))
        light = view.uniform(0.92, 1.02)[:, None, None, None]
        stained: Array = light * np.exp(-density * strength[:, None, None, :]) + self.grain(batch, 0.012, 3)
        return stained


def _stroma(canvas: Canvas, batch: Batch) -> Array:
    """Pink, wavy fibres with pale gaps."""
    draws, size = batch.view, canvas.size
    bend = clouds(size, draws.normal(1, 10, 10), band=(1, 4))
    fibres = np.sin(field(draws.uniform(14, 24)) * canvas.y + 3.0 * bend)
    gaps = ramp(clouds(size, draws.normal(1, 14, 14), band=(2, 6)) - 1.3, 0.5)
    pink = np.array([0.90, 0.64, 0.78], np.float32) * (1 + batch.patient.normal(0.02, 3))
    image = pink[:, None, None, :] * (1 + 0.05 * fibres + 0.05 * bend)[..., None]
    return blend(image, (0.96, 0.93, 0.95), gaps * field(draws.uniform(0.2, 0.8)))


def _cells(canvas: Canvas, batch: Batch, tissue: Tissue[Array]) -> tuple[Array, Array, Array]:
    """Nuclei, the cell bodies of glands, and their lumina, each 0 to 1."""
    draws, n = batch.view, len(batch)
    quarter = draws.uniform(0, 2 * np.pi)[:, None] + np.arange(GLANDS) * np.float32(np.pi / 2)
    at = np.stack([np.cos(quarter), np.sin(quarter)], axis=-1) * 0.62 + draws.normal(0.10, GLANDS, 2)
    there = np.arange(GLANDS) < np.floor(tissue.glands + draws.uniform(0, 1))[:, None]
    radius = tissue.gland_radius[:, None] * draws.uniform(0.8, 1.2, GLANDS)

    start, jitter = draws.uniform(0, 2 * np.pi, GLANDS, 1), draws.normal(0.08, GLANDS, ROUND)
    turn = start + np.arange(ROUND) * np.float32(2 * np.pi / ROUND) + jitter
    inward = tissue.filling[:, None, None] * (1 - np.sqrt(draws.uniform(0, 1, GLANDS, ROUND)))
    reach = (radius[..., None] * 0.92 * (1 - inward))[..., None] * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    in_glands = (at[:, :, None, :] + reach).reshape(n, -1, 2)
    between = draws.uniform(-1.3, 1.3, SCATTERED, 2)
    distance = np.sqrt(((between[:, :, None, :] - at[:, None]) ** 2).sum(-1))
    free = ~((distance < radius[:, None] * 1.1) & there[:, None]).any(axis=2)
    shown = np.concatenate(
        [np.repeat(there, ROUND, axis=1), free & (draws.chance(tissue.scattered[:, None], SCATTERED) > 0)], axis=1
    )
    nuclei = _nuclei(canvas, batch, np.concatenate([in_glands, between], axis=1), shown, tissue)

    drawn = there.astype(np.float32)
    bodies, lumina = np.zeros_like(nuclei), np.zeros_like(nuclei)
    for k in range(GLANDS):
        where = (at[:, k, 0], at[:, k, 1])
        wide = radius[:, k] * 1.12
        bodies = np.maximum(bodies, canvas.ellipse(*where, wide, wide, softness=0.08) * field(drawn[:, k]))
        inner, empty = 0.62 * radius[:, k], drawn[:, k] * np.clip(1 - 1.4 * tissue.filling, 0, 1)
        lumina = np.maximum(lumina, canvas.ellipse(*where, inner, inner, softness=0.10) * field(empty))
    return nuclei, bodies, lumina * (1 - nuclei)


def _nuclei(canvas: Canvas, batch: Batch, at: Array, shown: NDArray[np.bool_], tissue: Tissue[Array]) -> Array:
    """Each nucleus is two spots along its axis, cut at half height, so that elongated ones are cheap."""
    draws, count = batch.view, at.shape[1]
    radius = tissue.nucleus[:, None] * np.exp(tissue.variety[:, None] * draws.normal(1, count))
    angle = draws.uniform(0, np.pi, count)
    apart = (0.5 * tissue.elongation[:, None] * radius)[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    ends = np.concatenate([at - apart, at + apart], axis=1)
    sigma = np.tile(radius / 1.4, 2)
    return ramp(canvas.spots(ends[..., 0], ends[..., 1], sigma, 0.75 * np.tile(shown, 2)) - 0.5, 0.5)
