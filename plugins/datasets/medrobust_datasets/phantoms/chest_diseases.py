"""The findings of ChestX-ray14 beyond those of chest_findings, as they show on a frontal view."""

from __future__ import annotations

import numpy as np

from .chest import SIDES, Chest
from .chest_findings import Finding, mass, nodule, pneumothorax
from .drawing import Array, arc, clouds, field, ramp


def _side(chest: Chest) -> tuple[Array, Array, Array]:
    """A side for each image (-1 or 1), its lung, and the height of its diaphragm as an image field."""
    side = chest.batch.view.side()
    left = field(side) < 0
    lung = np.where(left, chest.lungs[:, 0], chest.lungs[:, 1])
    return side, lung, field(np.where(side < 0, chest.floor[:, 0], chest.floor[:, 1]))


def atelectasis(chest: Chest, present: Array) -> None:
    """Plates of collapsed lung: dense, nearly level bands above the diaphragm."""
    draws, bands = chest.batch.view, 2
    side, _, floor = _side(chest)
    medial = np.repeat((side * (chest.centre - 0.22))[:, None], bands, axis=1)
    start = np.stack([medial, floor[:, 0] - draws.uniform(0.12, 0.42, bands)], axis=-1)
    slope = draws.uniform(-0.35, 0.35, bands)
    heading = np.where(side[:, None] > 0, slope, np.pi - slope)
    path = arc(start, heading, draws.uniform(0.3, 0.46, bands), draws.normal(0.2, bands), 12)
    weight = (present[:, None] * draws.uniform(0.28, 0.44, bands) * np.array([1.0, 0.7]))[..., None]
    chest.image += chest.canvas.strokes(path, np.full(path.shape[:3], 0.03), np.ones(path.shape[:3]) * weight)


def effusion(chest: Chest, present: Array) -> None:
    """Fluid over the diaphragm of one side, its level curved up along the flank."""
    draws, canvas = chest.batch.view, chest.canvas
    side, lung, floor = _side(chest)
    outward = np.maximum(canvas.x * field(side) - field(chest.centre - 0.05), 0)
    level = floor - field(draws.uniform(0.10, 0.45)) - 2.2 * outward**2
    fluid = ramp(canvas.y - level, 0.12) * lung * field(present)
    chest.image += (0.62 - chest.image) * 0.85 * fluid
    chest.markings *= 1 - 0.9 * fluid


def infiltration(chest: Chest, present: Array) -> None:
    """Several faint, ill-defined small opacities in one or both lungs."""
    draws, spots = chest.batch.view, 9
    x = draws.side(spots) * (chest.centre[:, None] + draws.uniform(-0.15, 0.18, spots))
    weight = present[:, None] * draws.uniform(0.08, 0.2, spots)
    haze = chest.canvas.spots(x, draws.uniform(-0.4, 0.45, spots), draws.uniform(0.05, 0.09, spots), weight)
    chest.image += haze * chest.lung


def pneumonia(chest: Chest, present: Array) -> None:
    """A mottled opacity of one lobe with a soft border."""
    _lobe(chest, present, softness=0.22, strength=(0.15, 0.28), mottle=0.5)


def consolidation(chest: Chest, present: Array) -> None:
    """A dense, even opacity of one lobe that hides the vessels."""
    _lobe(chest, present, softness=0.07, strength=(0.26, 0.38), mottle=0.1)


def _lobe(chest: Chest, present: Array, *, softness: float, strength: tuple[float, float], mottle: float) -> None:
    draws, canvas = chest.batch.view, chest.canvas
    side, lung, _ = _side(chest)
    cx, cy = side * (chest.centre + draws.uniform(-0.08, 0.1)), draws.choice_of(-0.45, 0.32) + draws.normal(0.08)
    lobes = draws.normal(0.06, 3, 2)
    distance = canvas.blob_distance(cx, cy, draws.uniform(0.22, 0.32), draws.uniform(0.18, 0.27), 0 * cx, lobes)
    texture = 1 + mottle * clouds(canvas.size, draws.normal(1, 28, 28), band=(5, 13), slope=0.5)
    body = canvas.edge(distance, softness) * lung * field(present)
    chest.markings *= 1 - (1 - mottle) * body
    chest.image += field(draws.uniform(*strength)) * body * texture


def oedema(chest: Chest, present: Array) -> None:
    """Haze around both hila like the wings of a bat, with prominent vessels."""
    draws, canvas = chest.batch.view, chest.canvas
    at = SIDES[None, :] * (chest.centre[:, None] - 0.10)
    low = draws.uniform(-0.05, 0.1)[:, None] + np.zeros_like(at)
    wings = canvas.spots(at, low, np.full_like(at, 0.22), np.ones_like(at)) * chest.lung
    chest.image += field(present * draws.uniform(0.10, 0.20)) * wings
    chest.markings *= 1 + field(present * draws.uniform(0.5, 1.2))


def emphysema(chest: Chest, present: Array) -> None:
    """Over-inflated lungs: darker and with few markings (the low diaphragm is part of the chest itself)."""
    draws = chest.batch.view
    chest.markings *= 1 - field(present * draws.uniform(0.5, 0.8))
    chest.image -= field(present * draws.uniform(0.05, 0.10)) * chest.lung


def fibrosis(chest: Chest, present: Array) -> None:
    """A coarse net of fine lines, strongest at the bases and the flanks."""
    draws, canvas = chest.batch.view, chest.canvas
    net = ramp(0.5 - np.abs(clouds(canvas.size, draws.normal(1, 44, 44), band=(10, 21), slope=0.2)), 0.6)
    where = ramp(canvas.y + 0.1, 0.8) * chest.lung
    chest.image += field(present * draws.uniform(0.13, 0.26)) * (net - 0.3) * where


def pleural_thickening(chest: Chest, present: Array) -> None:
    """A dense rim inside the chest wall, over the apex and the flank of one side."""
    draws, canvas = chest.batch.view, chest.canvas
    side, lung, _ = _side(chest)
    distance = canvas.ellipse_distance(side * chest.centre, 0.12 + 0 * side, 0.33 + 0 * side, 0.98 + 0 * side)
    depth = field(draws.uniform(0.08, 0.14))
    rim = ramp(depth - distance, 0.05) * lung * ramp(canvas.x * field(side) - field(chest.centre - 0.15), 0.1)
    chest.image += field(present * draws.uniform(0.28, 0.42)) * rim


def hernia(chest: Chest, present: Array) -> None:
    """The stomach above the diaphragm: a round shadow behind the heart, with air over a fluid level."""
    draws, canvas = chest.batch.view, chest.canvas
    cx, cy = draws.uniform(-0.08, 0.14), chest.floor.mean(axis=1) - draws.uniform(0.12, 0.2)
    radius = draws.uniform(0.17, 0.24)
    sac = canvas.ellipse(cx, cy, radius, radius, softness=0.04) * field(present)
    air = ramp(field(cy - 0.02) - canvas.y, 0.05) * canvas.ellipse(cx, cy, 0.8 * radius, 0.8 * radius, softness=0.05)
    chest.image += 0.12 * sac - field(draws.uniform(0.24, 0.4)) * air * field(present)


def _in_the_chest_itself(chest: Chest, present: Array) -> None:
    """Drawn with the chest, before the other findings: a wide heart."""


DISEASES: dict[str, tuple[float, Finding]] = {
    "Atelectasis": (0.18, atelectasis),
    "Cardiomegaly": (0.14, _in_the_chest_itself),
    "Effusion": (0.20, effusion),
    "Infiltration": (0.22, infiltration),
    "Mass": (0.14, mass),
    "Nodule": (0.14, nodule),
    "Pneumonia": (0.12, pneumonia),
    "Pneumothorax": (0.14, pneumothorax),
    "Consolidation": (0.12, consolidation),
    "Edema": (0.12, oedema),
    "Emphysema": (0.12, emphysema),
    "Fibrosis": (0.12, fibrosis),
    "Pleural_Thickening": (0.12, pleural_thickening),
    "Hernia": (0.10, hernia),
}
"""Label names of ChestX-ray14, with the share of the ill who have each and how it is drawn.

The rare ones are far more frequent than in the original (Hernia 0.2 %), so that 1,200 images suffice to learn them.
"""
