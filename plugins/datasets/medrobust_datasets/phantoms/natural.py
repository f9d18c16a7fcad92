"""Phantom natural images: textures and shapes, for pre-training and for crafting universal perturbations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from medrobust import Count

from .base import Phantom
from .drawing import Array, Canvas, clouds, field, mix, ramp
from .streams import Batch

TEXTURES = ("stripes", "checks", "dots", "rings", "marble")
SHAPES = ("disc", "square", "triangle", "star", "cross")


@dataclass(frozen=True)
class PhantomNatural(Phantom):
    """Textures and shapes in any colour, size and orientation, on mottled backgrounds with other objects.

    Ten classes: five textures that fill the image and five shapes. Groups are views of one object, not patients. They
    stand in for ImageNet.
    """

    name: ClassVar[str] = "phantom-natural"
    revision: ClassVar[int] = 1

    train: Count = 1600

    @property
    def class_names(self) -> tuple[str, ...]:
        return TEXTURES + SHAPES

    def labels(self, batch: Batch) -> NDArray[np.int64]:
        return batch.classes([1] * len(self.class_names))

    def draw(self, batch: Batch, labels: NDArray[np.int64]) -> Array:
        patient, view = batch.patient, batch.view
        canvas = self.canvas(batch, shift=0.2, scale=(0.85, 1.15), angle=0.5)
        figure = np.choose(labels[:, None, None], _textures(canvas, batch) + _shapes(canvas, batch))
        ground, ink = _two_colours(batch)
        mottled = clouds(canvas.size, view.normal(1, 16, 16), band=(1, 7)) * field(patient.uniform(0.02, 0.10))
        back = ground[:, None, None, :] + mottled[..., None]
        grain = clouds(canvas.size, view.normal(1, 24, 24), band=(3, 11), slope=0.5) * field(patient.uniform(0.0, 0.06))
        front = ink[:, None, None, :] + grain[..., None]
        image: Array = mix(back, front, figure[..., None])
        image = mix(image, patient.uniform(0, 1, 1, 1, 3), _bystanders(canvas, batch)[..., None])
        u, v = canvas.frame
        light = 1 + field(view.normal(0.15)) * u + field(view.normal(0.15)) * v
        exposure = (0.42 / image.mean(axis=(1, 2, 3))) ** 0.7 * view.uniform(0.75, 1.2)
        image = image * light[..., None] * exposure[:, None, None, None]
        return image + self.grain(batch, 0.03, 3)


def _two_colours(batch: Batch) -> tuple[Array, Array]:
    """A ground and a lighter ink."""
    draws = batch.patient
    ground = draws.uniform(0.05, 0.55, 3)
    return ground, ground + draws.uniform(0.12, 0.5, 3)


def _textures(canvas: Canvas, batch: Batch) -> list[Array]:
    draws, x, y = batch.patient, canvas.x, canvas.y
    pitch = field(draws.uniform(5.5, 9.5))
    a, b = np.sin(pitch * x), np.sin(pitch * y)
    wavy = clouds(canvas.size, batch.view.normal(1, 16, 16), band=(2, 7), slope=0.8)
    radius = np.sqrt((x - field(draws.uniform(-0.3, 0.3))) ** 2 + (y - field(draws.uniform(-0.3, 0.3))) ** 2)
    return [
        ramp(a + field(draws.uniform(-0.4, 0.4)), 0.6),
        ramp(a * b, 0.4),
        ramp(np.maximum(a, 0) * np.maximum(b, 0) - field(draws.uniform(0.2, 0.45)), 0.3),
        ramp(np.sin(pitch * 1.2 * radius), 0.6),
        ramp(np.sin(2.2 * wavy + pitch * 0.3 * x), 0.6),
    ]


def _shapes(canvas: Canvas, batch: Batch) -> list[Array]:
    size = field(batch.patient.uniform(0.32, 0.58))
    x, y = canvas.x / size, canvas.y / size
    radius = np.sqrt(x * x + y * y) + 1e-6
    across, down = np.abs(x), np.abs(y)
    five = np.cos(5 * np.arctan2(y, x))
    sides = [x * np.float32(np.cos(t)) + y * np.float32(np.sin(t)) for t in (0.0, 2 * np.pi / 3, 4 * np.pi / 3)]
    bars = np.maximum(np.minimum(0.34 - across, 1.05 - down), np.minimum(0.34 - down, 1.05 - across))
    distances = [
        0.95 - radius,
        0.84 - np.maximum(across, down),
        0.62 - np.maximum.reduce(sides),
        0.85 + 0.36 * five - radius,
        bars,
    ]
    return [canvas.edge(distance * size) for distance in distances]


def _bystanders(canvas: Canvas, batch: Batch) -> Array:
    """Up to three blurred blots of a third colour."""
    draws, slots = batch.view, 3
    weight = draws.uniform(0.4, 0.9, slots) * draws.chance(0.35, slots)
    cx, cy = draws.uniform(-1.2, 1.2, slots), draws.uniform(-1.2, 1.2, slots)
    blots = canvas.spots(cx, cy, draws.uniform(0.06, 0.16, slots), weight)
    return np.minimum(blots, 0.9)
