"""A frontal chest radiograph: body, lungs, heart, ribs. What absorbs more is brighter, as on film."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .drawing import Array, Canvas, arc, clouds, field, mix, ramp
from .streams import Batch

SIDES = np.array([-1, 1], dtype=np.float32)
"""Left and right of the image; the heart lies on the right of it, as one faces the patient."""


@dataclass
class Chest:
    """The parts of n chests, from which findings are made and which they change.

    Attributes:
        canvas: pose of each image.
        batch: draws; patient streams for what stays, view streams for what varies.
        centre: x of the middle of a lung, mirrored for the other one (n,).
        floor: y of the top of the diaphragm for each side (n, 2).
        lungs: 0 to 1, inside the left or right lung and not behind heart or mediastinum (n, 2, h, w).
        image: brightness of bones and soft tissue of the whole chest (n, h, w).
        markings: brightness of vessels and lung texture (n, h, w), added last.
    """

    canvas: Canvas
    batch: Batch
    centre: Array
    floor: Array
    lungs: Array
    image: Array
    markings: Array

    @property
    def lung(self) -> Array:
        """0 to 1, inside either lung (n, h, w)."""
        inside: Array = self.lungs.sum(axis=1)
        return inside

    def in_lung(
        self, side: Array, *, inner: float = 0.05, outer: float = 0.20, low: float = 0.35
    ) -> tuple[Array, Array]:
        """A random place in the lung of one side (-1 or 1), x and y of shape (n,).

        `inner` and `outer` bound the distance from the middle of the lung towards the flank, `low` the height.
        """
        draws = self.batch.view
        return side * (self.centre + draws.uniform(-inner, outer)), draws.uniform(-0.6, low)


def chest(canvas: Canvas, batch: Batch, *, heart_scale: Array | float = 1.0, inflation: Array | float = 0.0) -> Chest:
    """Draw a chest without findings.

    Args:
        canvas: pose of each image.
        batch: draws.
        heart_scale: factor of the width of the heart (n,).
        inflation: how much lower than usual the diaphragm stands (n,).
    """
    patient, view = batch.patient, batch.view
    x, y = canvas.x, canvas.y
    centre = patient.uniform(0.40, 0.47)
    width = patient.uniform(0.29, 0.35)
    inspiration = view.uniform(-0.06, 0.06) + inflation
    floor = np.stack([patient.uniform(0.48, 0.62), patient.uniform(0.54, 0.68)], axis=1) + inspiration[:, None]
    lungs = np.stack([_lung(canvas, side * centre, width, floor[:, i]) for i, side in enumerate(SIDES)], axis=1)
    lung = lungs.sum(axis=1)

    shoulders = np.abs(x) - field(patient.uniform(0.22, 0.28))
    outline = np.minimum(
        y + 1.02 - 0.55 * np.maximum(shoulders, 0) ** 0.8, field(patient.uniform(0.93, 1.1)) - np.abs(x)
    )
    body = canvas.edge(outline, 0.06)
    image: Array = body * field(patient.uniform(0.56, 0.64)) + 0.08 * ramp(y - 0.45, 0.9) * body
    image = mix(image, field(patient.uniform(0.18, 0.26)), 0.95 * lung)

    spine = ramp(0.10 - np.abs(x), 0.10)
    vertebrae = 0.8 + 0.2 * np.cos(2 * np.pi * (y / field(patient.uniform(0.17, 0.21))))
    middle = ramp(0.17 + 0.05 * y - np.abs(x - 0.02), 0.14) * ramp(y + 1.0, 0.3)
    heart_width = patient.uniform(0.33, 0.40) * heart_scale
    heart_height = patient.uniform(0.27, 0.33)
    heart = canvas.ellipse(0.15 + 0.4 * (heart_width - 0.36), floor[:, 1] - 0.2, heart_width, heart_height, 0.65, 0.09)
    round_ = np.full(len(batch), 0.1, np.float32)
    knuckle = canvas.ellipse(
        patient.uniform(0.12, 0.17), patient.uniform(-0.38, -0.3), round_, 1.2 * round_, softness=0.08
    )
    opaque = 1 - (1 - 0.85 * middle) * (1 - 0.9 * heart) * (1 - 0.6 * knuckle)
    image = mix(image, field(patient.uniform(0.66, 0.74)), opaque * body)
    image = image + 0.09 * spine * vertebrae * body

    flank = np.abs(x)
    rib_phase = (y + field(patient.uniform(0.30, 0.42)) * (flank - 0.1) - 0.75 * flank**2) / field(
        patient.uniform(0.19, 0.23)
    )
    ribs = np.maximum(np.cos(2 * np.pi * (rib_phase + field(patient.uniform(0, 1)))), 0) ** 2
    cage = (
        ramp(field(centre + width) + 0.08 - flank, 0.06)
        * ramp(flank - 0.1, 0.1)
        * ramp(0.75 - y, 0.3)
        * ramp(y + 0.92, 0.15)
    )
    image = image + field(view.uniform(0.05, 0.13)) * ribs * cage * (0.35 + 0.65 * lung)
    image = image + _clavicles(canvas, batch)

    markings = (
        _vessels(canvas, batch, centre) + 0.022 * clouds(canvas.size, view.normal(1, 24, 24), band=(3, 11))
    ) * lung
    hila = sum(
        canvas.ellipse(
            side * patient.uniform(0.20, 0.25),
            patient.uniform(-0.1, 0.0),
            0.9 * round_,
            patient.uniform(0.1, 0.16),
            softness=0.12,
        )
        for side in SIDES
    )
    image = image + 0.08 * hila * lung
    visible = lungs * (1 - 0.85 * opaque)[:, None]
    return Chest(canvas, batch, centre, floor, visible, image, markings)


def _lung(canvas: Canvas, cx: Array, width: Array, floor: Array) -> Array:
    """An ellipse that narrows to the apex, cut by the dome of the diaphragm."""
    x, y = canvas.x - field(cx), canvas.y
    narrow = 1 - 0.28 * np.clip(-y, 0, 1) ** 1.5
    radius = np.sqrt((x / (field(width) * narrow)) ** 2 + ((y - 0.12) / 0.98) ** 2)
    dome = field(floor) + 1.6 * x**2 - y
    return canvas.edge((1 - radius) * field(width), 0.05) * canvas.edge(dome, 0.05)


def _clavicles(canvas: Canvas, batch: Batch) -> Array:
    draws = batch.patient
    n = len(batch)
    rise = draws.uniform(0.08, 0.3)
    start = np.stack(
        [SIDES[None, :] * 0.12 + np.zeros((n, 2)), np.repeat(draws.uniform(-0.62, -0.55)[:, None], 2, 1)], -1
    )
    heading = np.stack([np.pi + rise, -rise], axis=1)
    bend = np.stack([0.2 + 0 * rise, -0.2 + 0 * rise], axis=1)
    path = arc(start.astype(np.float32), heading, np.full((n, 2), 0.62, np.float32), bend, 12)
    shape = path.shape[:3]
    return canvas.strokes(path, np.full(shape, 0.035, np.float32), np.full(shape, 0.1, np.float32))


def _vessels(canvas: Canvas, batch: Batch, centre: Array) -> Array:
    """Branches that leave each hilum and thin out."""
    draws, n, branches, points = batch.patient, len(batch), 7, 14
    side = np.repeat(SIDES, branches)[None, :]
    start = np.stack([side * (centre[:, None] - 0.2), draws.uniform(-0.1, 0.06, 2 * branches)], axis=-1)
    fan = np.tile(np.linspace(-1.25, 1.25, branches, dtype=np.float32), 2)[None, :] + draws.normal(0.12, 2 * branches)
    heading = np.where(side > 0, fan, np.pi - fan).astype(np.float32)
    length = draws.uniform(0.32, 0.5, 2 * branches)
    path = arc(start.astype(np.float32), heading, length, draws.normal(0.3, 2 * branches), points)
    thin = np.linspace(1, 0.5, points, dtype=np.float32) * np.ones((n, 2 * branches, 1), np.float32)
    faint_at_hilum = np.clip(np.linspace(0.4, 2.5, points, dtype=np.float32), 0, 1)
    return canvas.strokes(path, 0.024 * thin, 0.12 * thin * faint_at_hilum)
