"""Findings on a chest radiograph. Each changes a `Chest` where `present` is 1, and draws alike where it is 0."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .chest import Chest
from .drawing import Array, field

Finding = Callable[[Chest, Array], None]


def pneumothorax(chest: Chest, present: Array) -> None:
    """Air around a lung that has come off the chest wall: darker, no markings, and a fine pleural line."""
    draws, canvas = chest.batch.view, chest.canvas
    side = draws.side()
    depth = draws.uniform(0.08, 0.32)
    hilum = side * (chest.centre - 0.13)
    apical = draws.uniform(0.15, 0.5)
    distance = canvas.ellipse_distance(hilum, 0.12 + apical * depth, 0.50 - depth, 0.98 - 1.3 * depth)
    lung = np.where(field(side) < 0, chest.lungs[:, 0], chest.lungs[:, 1])
    free = canvas.edge(-distance, 0.02) * lung * field(present)
    line = np.exp(-0.5 * (distance / np.maximum(0.5 * canvas.pixel, 0.018)) ** 2) * lung * field(present)
    chest.markings *= 1 - 0.95 * free
    chest.image -= field(draws.uniform(0.04, 0.12)) * free
    chest.image += field(draws.uniform(0.08, 0.17)) * line + 0.04 * (lung * field(present) - free)


def skin_fold(chest: Chest, present: Array) -> None:
    """A mimic of pneumothorax: a long edge over the lung, with markings on both sides of it."""
    draws, canvas = chest.batch.view, chest.canvas
    side = draws.side()
    offset = draws.uniform(0.0, 0.22)
    bend = draws.uniform(-0.15, 0.3)
    x = (
        canvas.x * field(side)
        - field(chest.centre + offset)
        + field(bend) * (canvas.y - field(draws.uniform(-0.3, 0.2))) ** 2
    )
    line = np.exp(-0.5 * (x / np.maximum(0.5 * canvas.pixel, 0.018)) ** 2) * chest.lung * field(present)
    chest.image += field(draws.uniform(0.05, 0.12)) * line * canvas.edge(0.25 - canvas.y, 0.3)


def mass(chest: Chest, present: Array) -> None:
    """A lobed opacity of more than 3 cm."""
    _opacity(chest, present, radius=(0.15, 0.24), strength=(0.19, 0.35))


def nodule(chest: Chest, present: Array) -> None:
    """One or two round opacities of less than 3 cm."""
    draws = chest.batch.view
    _opacity(chest, present, radius=(0.075, 0.11), strength=(0.34, 0.50))
    _opacity(chest, present * draws.chance(0.35), radius=(0.06, 0.09), strength=(0.22, 0.36))


def _opacity(chest: Chest, present: Array, *, radius: tuple[float, float], strength: tuple[float, float]) -> None:
    draws = chest.batch.view
    cx, cy = chest.in_lung(draws.side())
    size = draws.uniform(*radius)
    distance = chest.canvas.blob_distance(
        cx,
        cy,
        size * draws.uniform(0.85, 1.2),
        size * draws.uniform(0.85, 1.2),
        draws.uniform(0, np.pi),
        draws.normal(0.045, 3, 2),
    )
    body = chest.canvas.edge(distance, 0.7 * size) * field(present * draws.uniform(*strength))
    chest.image += body * (0.25 + 0.75 * chest.lung)


def electrode(chest: Chest, present: Array) -> None:
    """A mimic of a nodule: a small metal button, brighter and sharper than tissue, often with its lead."""
    draws = chest.batch.view
    n = len(chest.batch)
    cx, cy = draws.uniform(-0.75, 0.75, 1), draws.uniform(-0.7, 0.7, 1)
    chest.image += chest.canvas.spots(cx, cy, np.full((n, 1), 0.028, np.float32), 0.6 * present[:, None])
    t = np.linspace(0, 1, 40, dtype=np.float32)[None, None, :]
    angle, length = draws.uniform(0, 2 * np.pi, 1)[..., None], draws.uniform(0.5, 1.2, 1)[..., None]
    path = np.stack(
        [cx[..., None] + np.cos(angle) * length * t, cy[..., None] + np.sin(angle) * length * t + 0.1 * t * t], -1
    )
    chest.image += chest.canvas.strokes(
        path, np.full(path.shape[:3], 0.016, np.float32), (0.2 * present * draws.chance(0.7))[:, None, None] + 0 * t
    )


def hazy_patch(chest: Chest, present: Array) -> None:
    """A mimic of a mass: a faint shadow without a border, such as overlying soft tissue."""
    draws = chest.batch.view
    cx, cy = chest.in_lung(draws.side())
    chest.image += chest.canvas.spots(
        cx[:, None], cy[:, None], draws.uniform(0.12, 0.25, 1), (present * draws.uniform(0.04, 0.10))[:, None]
    )
