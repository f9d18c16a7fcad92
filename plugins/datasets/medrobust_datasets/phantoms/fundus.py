"""Phantom fundus photographs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .drawing import Array, Canvas, arc, blend, clouds, colour, field
from .evidence import Evidence, MedicalPhantom
from .streams import Batch

CLASSES = ("not-referable", "referable-dr")
BLOOD = (0.30, 0.80, 0.75)
"""How much of red, green and blue blood takes away."""
FAT = (0.98, 0.86, 0.45)
NERVE = (1.0, 0.80, 0.50)


@dataclass(frozen=True)
class PhantomFundus(MedicalPhantom):
    """Colour fundus photographs, drawn: referable diabetic retinopathy against none or mild.

    Referable eyes have haemorrhages and may have hard exudates and cotton-wool spots. Others may have one to three
    microaneurysms (mild retinopathy), drusen or reflections of the lens, so that the classes have a soft border. They
    imitate the referable task on EyePACS images.
    """

    name: ClassVar[str] = "phantom-fundus"
    revision: ClassVar[int] = 2
    drawn_at: ClassVar[float] = 61

    evidence: Evidence = 2.5

    @property
    def class_names(self) -> tuple[str, ...]:
        return CLASSES

    def labels(self, batch: Batch) -> NDArray[np.int64]:
        return batch.classes([1, 1], turnover=0.2)

    def draw(self, batch: Batch, labels: NDArray[np.int64]) -> Array:
        patient, view = batch.patient, batch.view
        canvas = self.canvas(batch, shift=0.04, scale=(0.96, 1.12), angle=0.15)
        eye = view.side()
        disc = np.stack([eye * patient.uniform(0.42, 0.58), patient.uniform(-0.08, 0.08)], axis=1)
        macula = disc - np.stack([eye * patient.uniform(0.55, 0.65), patient.uniform(-0.1, 0.0)], axis=1)
        image = _background(canvas, batch, macula)
        image = _optic_disc(canvas, batch, image, disc)
        image = _darken(image, _vessels(canvas, batch, disc, eye) * field(view.uniform(0.5, 0.8)))
        referable = labels.astype(np.float32)
        image = _darken(image, _red_lesions(canvas, batch, referable))
        image = _exudates(canvas, batch, image, macula, referable)
        image = _cotton_wool(canvas, batch, image, referable)
        image = _look_alikes(canvas, batch, image, macula)
        return self._photograph(canvas, batch, image)

    def _photograph(self, canvas: Canvas, batch: Batch, image: Array) -> Array:
        """Uneven light, exposure, colour balance, noise, and the round field of view."""
        draws = batch.view
        u, v = canvas.frame
        lit = 1 - field(draws.uniform(0.1, 0.45)) * (
            (u - field(draws.normal(0.25))) ** 2 + (v - field(draws.normal(0.25))) ** 2
        )
        balance = draws.uniform(0.7, 1.1)[:, None] * draws.uniform(0.92, 1.08, 3)
        image = image * np.maximum(lit, 0.15)[..., None] * balance[:, None, None, :] + self.grain(batch, 0.012, 3)
        view_field = canvas.edge(field(draws.uniform(0.93, 1.04)) - np.sqrt(u * u + v * v) / field(canvas.scale) ** 0.5)
        return image * view_field[..., None]


def _background(canvas: Canvas, batch: Batch, macula: Array) -> Array:
    """The retina over the choroid, whose vessels shine through, with a dark macula."""
    patient = batch.patient
    pigment = patient.uniform(0, 1)[:, None]
    pale, dark = np.array([0.88, 0.50, 0.28], np.float32), np.array([0.62, 0.27, 0.10], np.float32)
    rgb = (pale + (dark - pale) * pigment) * (1 + patient.normal(0.04, 3))
    choroid = clouds(canvas.size, patient.normal(1, 20, 20), band=(3, 9), slope=0.7)
    image = rgb[:, None, None, :] * (1 + colour(choroid, 0.025, 0.05, 0.05))
    shade = canvas.spots(macula[:, :1], macula[:, 1:], patient.uniform(0.11, 0.16, 1), patient.uniform(0.25, 0.45, 1))
    return _darken(image, shade)


def _optic_disc(canvas: Canvas, batch: Batch, image: Array, disc: Array) -> Array:
    patient = batch.patient
    radius = patient.uniform(0.12, 0.16)
    plate = canvas.ellipse(disc[:, 0], disc[:, 1], 0.9 * radius, radius, softness=0.05)
    cup = canvas.ellipse(disc[:, 0], disc[:, 1], 0.45 * radius, 0.5 * radius, softness=0.05)
    image = blend(image, NERVE, plate * field(patient.uniform(0.75, 0.95)))
    return blend(image, (1.0, 0.95, 0.8), cup * field(patient.uniform(0.4, 0.9)))


def _vessels(canvas: Canvas, batch: Batch, disc: Array, eye: Array) -> Array:
    """Two arcades around the macula and two vessels to the nasal side, each an artery and a vein, with branches."""
    draws, n, points = batch.view, len(batch), 30
    upward = np.tile(np.array([-1, 1], np.float32), 4)
    temporal = np.repeat(np.array([1, 1, 0, 0], np.float32), 2)
    # Measured from the direction to the macula: arcades leave steeply and turn towards it, nasal vessels away from it.
    steep = np.where(temporal > 0, 1.45, 2.45).astype(np.float32) + draws.normal(0.14, 8)
    bend = np.where(temporal > 0, -1.35, 0.25).astype(np.float32) + draws.normal(0.2, 8)
    length = np.where(temporal > 0, 1.5, 0.8).astype(np.float32) * draws.uniform(0.85, 1.1, 8)
    facing = eye[:, None]
    main = arc(np.repeat(disc[:, None, :], 8, 1), upward * steep, length, upward * bend, points)
    thick = draws.uniform(0.012, 0.022, 8)[..., None] * np.linspace(1, 0.45, points, dtype=np.float32)

    fork = np.array([7, 12, 18])
    start = main[:, :4][:, :, fork].reshape(n, 12, 2)
    ahead = (main[:, :4][:, :, fork + 1] - main[:, :4][:, :, fork]).reshape(n, 12, 2)
    heading = np.arctan2(ahead[..., 1], ahead[..., 0]) + draws.side(12) * draws.uniform(0.4, 0.9, 12)
    twigs = arc(start, heading, draws.uniform(0.35, 0.65, 12), draws.normal(0.5, 12), points)
    thin = 0.6 * np.repeat(thick[:, :4, -1:], 3, 1) * np.linspace(1.3, 0.8, points, dtype=np.float32)

    # Drawn towards the right; mirrored about the disc for eyes whose macula lies to the left.
    path, sigma = np.concatenate([main, twigs], 1), np.concatenate([thick, thin], 1)
    path[..., 0] = disc[:, :1, None] - facing[..., None] * (path[..., 0] - disc[:, :1, None])
    blood: Array = 1 - np.exp(-1.6 * canvas.strokes(path, sigma, np.ones_like(sigma)))
    return blood


def _anywhere(batch: Batch, count: int) -> tuple[Array, Array]:
    """Places on the retina, evenly spread over a disc."""
    radius, angle = 0.82 * np.sqrt(batch.view.uniform(0, 1, count)), batch.view.uniform(0, 2 * np.pi, count)
    return radius * np.cos(angle), radius * np.sin(angle)


def _red_lesions(canvas: Canvas, batch: Batch, referable: Array) -> Array:
    """Microaneurysms (few, in mild retinopathy too) and haemorrhages (many, larger)."""
    draws, slots = batch.view, 16
    severity = draws.uniform(0, 1)
    mild = np.floor(draws.uniform(0, 1) ** 2 * 4)
    count = np.where(referable > 0, 4 + np.floor(severity**1.3 * 12), mild)
    cx, cy = _anywhere(batch, slots)
    large = draws.uniform(0, 1, slots) * (0.35 + 0.65 * referable[:, None])
    shown = np.arange(slots) < count[:, None]
    sigma = 0.02 + 0.034 * large * (0.6 + 0.4 * severity[:, None])
    weight = draws.uniform(0.5, 0.85, slots) * shown
    return np.minimum(canvas.spots(cx, cy, sigma, weight), 0.9)


def _exudates(canvas: Canvas, batch: Batch, image: Array, macula: Array, referable: Array) -> Array:
    """Clusters of small, sharp, yellow deposits near the macula."""
    draws, clusters, grains = batch.view, 2, 9
    centre = macula[:, None, :] + draws.normal(0.3, clusters, 2)
    at = centre[:, :, None, :] + draws.normal(0.085, clusters, grains, 2)
    shown = referable[:, None] * draws.chance(np.array([0.55, 0.3], np.float32), clusters)
    weight = draws.uniform(0.3, 1.0, clusters, grains) * shown[..., None]
    sigma = draws.uniform(0.014, 0.03, clusters * grains)
    n = len(batch)
    deposits = canvas.spots(at[..., 0].reshape(n, -1), at[..., 1].reshape(n, -1), sigma, weight.reshape(n, -1))
    return blend(image, FAT, np.minimum(deposits, 0.9))


def _cotton_wool(canvas: Canvas, batch: Batch, image: Array, referable: Array) -> Array:
    draws, slots = batch.view, 2
    cx, cy = _anywhere(batch, slots)
    weight = draws.uniform(0.25, 0.6, slots) * draws.chance(0.3, slots) * referable[:, None]
    return blend(
        image, (0.97, 0.88, 0.68), np.minimum(canvas.spots(cx, cy, draws.uniform(0.04, 0.07, slots), weight), 0.9)
    )


def _look_alikes(canvas: Canvas, batch: Batch, image: Array, macula: Array) -> Array:
    """Drusen, pigment and reflections of the lens, in either class."""
    draws, slots = batch.view, 8
    drusen = draws.uniform(0.1, 0.35, slots) * draws.chance(0.25)[:, None]
    at = macula[:, None, :] + draws.normal(0.14, slots, 2)
    image = blend(
        image, (0.92, 0.72, 0.42), canvas.spots(at[..., 0], at[..., 1], draws.uniform(0.015, 0.03, slots), drusen)
    )
    cx, cy = _anywhere(batch, 2)
    pigment = draws.uniform(0.15, 0.4, 2) * draws.chance(0.2, 2)
    image = image * (1 - canvas.spots(cx, cy, draws.uniform(0.04, 0.08, 2), pigment))[..., None]
    cx, cy = _anywhere(batch, 1)
    flare = canvas.ellipse(cx[:, 0], cy[:, 0], draws.uniform(0.1, 0.22), draws.uniform(0.1, 0.22), softness=0.1)
    return image + colour(flare * field(draws.chance(0.2) * draws.uniform(0.04, 0.14)), 1.0, 0.8, 0.6)


def _darken(image: Array, blood: Array) -> Array:
    return image * (1 - colour(blood, *BLOOD))
