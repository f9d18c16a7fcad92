"""How the class shows in a medical phantom: faint findings, and the grain of the tissue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from medrobust import Count

from .base import Phantom
from .drawing import Array, field
from .streams import Roster, Streams

Evidence = Annotated[float, Field(ge=0, le=64)]
WAVES = 40
"""Waves that make the grain of one image; enough that it looks irregular."""
WEAKEST = 0.7
"""Standard deviation of the weakest grain of an image, relative to the strongest."""
DOUBT = 0.45
"""Largest share of the grain that an image has of another class, which gives the classes a soft border."""
DARK = 0.15
"""Brightness below which tissue fades and its grain with it."""
FINENESS = {1: (11.0,), 2: (8.0, 12.5), 3: (6.5, 9.5, 13.0)}
"""Waves of the grain across the image, by the number of values that classes differ in: fine, and seen on 28 pixels."""


@dataclass(frozen=True)
class MedicalPhantom(Phantom):
    """A phantom whose classes differ by little: as on medical images, a few grey levels carry the diagnosis.

    The class shows twice. Its findings are drawn with a share of their contrast, and the tissue has a fine grain of a
    direction and fineness of its class, with random phases, so that no pixel by itself tells anything. The grain of an
    image is weaker or stronger, and partly that of another class. Mirror images have the class of their originals.
    Anatomy, look-alikes and noise keep their contrast.

    Attributes:
        evidence: how strongly the class shows, in grey levels of 255: the largest standard deviation of the grain, and
            the median over images of the largest change that a finding makes (at most as it is drawn); 0 to 64.
    """

    drawn_at: ClassVar[float]
    """The median over images of the largest change, in grey levels, that a finding makes as it is drawn."""

    size: Annotated[int, Field(ge=28, le=256)] = 40
    train: Count = 2400
    evidence: Evidence = 3.0

    @property
    def plain_class(self) -> int:
        """The class without findings, or with the most common ones, into which those of the others fade."""
        return 0

    def paint(self, roster: Roster, start: int, stop: int) -> tuple[NDArray[np.int64], Array]:
        images = np.arange(start, stop)
        batch = roster.batch(images)
        labels = self.labels(batch)
        image = self._stacked(self.draw(batch, labels))
        plain = np.zeros_like(labels) if labels.ndim == 2 else np.full_like(labels, self.plain_class)
        ill = (labels != plain).reshape(len(labels), -1).any(axis=1)
        if ill.any():
            # The same draws again without the findings, which then fade.
            again = roster.batch(images[ill])
            self.labels(again)
            healthy = self._stacked(self.draw(again, plain[ill]))
            image[ill] = healthy + np.float32(min(self.evidence / self.drawn_at, 1.0)) * (image[ill] - healthy)
        kinds = len(self.class_names)
        texture = grain(batch.view, self.size, *kinds_of_waves(batch.view, labels, kinds), kinds)
        strength = field(batch.view.uniform(WEAKEST, 1.0) * np.float32(self.evidence / 255))
        tissue = np.clip(image.mean(axis=-1) / DARK, 0, 1)
        return labels, image + (strength * tissue * texture)[..., None]

    def _stacked(self, drawn: Array) -> Array:
        return drawn.reshape(len(drawn), self.size, self.size, self.channels)


def kinds_of_waves(draws: Streams, labels: NDArray[np.int64], kinds: int) -> tuple[NDArray[np.int64], Array]:
    """The kind of each wave of each image (n, WAVES), and the standard deviation of its grain (n,).

    An image of one class has some waves of another one; one of several labels has an equal share of each, and the more
    of them the stronger its grain.
    """
    share = draws.uniform(0, 0.9999, WAVES)
    if labels.ndim == 2:
        present = labels.sum(axis=1)
        ranks = np.floor(share * present[:, None]).astype(np.int64)
        kind = np.take_along_axis(np.argsort(-labels, axis=1, kind="stable"), ranks, axis=1)
        return kind, np.sqrt(present, dtype=np.float32)
    other = np.floor(draws.uniform(0, 0.9999) * kinds).astype(np.int64)
    doubt = DOUBT * draws.uniform(0, 1) ** 1.5
    return np.where(share < doubt[:, None], other[:, None], labels[:, None]), np.ones(len(labels), np.float32)


def grain(draws: Streams, size: int, kind: NDArray[np.int64], deviation: Array, kinds: int) -> Array:
    """A fine texture (n, size, size) of mean 0: a sum of waves in the direction and fineness of their kind.

    Directions lie between along and across and are mirrored at random, so that flips of the image change nothing.
    """
    directions = kinds if kinds <= 4 else 4 if kinds <= 8 else 5
    fineness = np.array(FINENESS[-(-kinds // directions)], dtype=np.float32)
    apart = np.float32(np.pi / 2 / (directions - 1))
    angle = (kind % directions * apart + draws.normal(min(0.2, 0.3 * float(apart)), WAVES)) * draws.side(WAVES)
    pitch = np.float32(np.pi) * fineness[kind // directions] * (1 + draws.normal(0.15, WAVES))
    phase = draws.uniform(0, 2 * np.pi, WAVES)
    axis = ((np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1).astype(np.float32)
    across = np.exp(1j * (pitch * np.cos(angle)).astype(np.float32)[..., None] * axis)
    down = np.exp(1j * ((pitch * np.sin(angle)).astype(np.float32)[..., None] * axis + phase[..., None]))
    waves = np.matmul(down.transpose(0, 2, 1), across).real
    texture: Array = waves * field(deviation * np.float32(np.sqrt(2 / WAVES)))
    return texture
