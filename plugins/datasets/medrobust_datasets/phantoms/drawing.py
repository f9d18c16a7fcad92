"""Drawing on a stack of images at once, in coordinates that do not know the number of pixels.

An image spans [-1, 1] in x (to the right) and y (down). Parameters have the images as first axis: (n,), or (n, k) for k
objects an image. What is finer than a pixel fades as it would in a camera; it does not vanish between two samples.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]

PIXEL_BLUR = 0.32
"""Standard deviation, in pixels, of the blur by sampling (a box of one pixel, 1 / sqrt(12), and a lens)."""

SPOTS_AT_ONCE = 128
"""Spots summed in one matrix product: short enough that BLAS keeps a 32-pixel image on one thread."""


def field(values: Array | float) -> Array:
    """Parameters (n,) as (n, 1, 1), to meet images (n, h, w)."""
    array = np.asarray(values, dtype=np.float32)
    return array.reshape(*array.shape, 1, 1) if array.ndim else array


def ramp(distance: Array, width: Array | float) -> Array:
    """0 where `distance` is far below zero, 1 far above, smooth in between over `width`."""
    t: Array = np.clip(distance / width + np.float32(0.5), 0, 1)
    return t * t * (3 - 2 * t)


def mix(base: Array, other: Array | float, weight: Array) -> Array:
    """`base` where weight is 0, `other` where it is 1."""
    return base + (other - base) * weight


class Canvas:
    """Coordinates of the object on the pixels of n images, each seen in its own pose.

    Args:
        size: pixels a side.
        shift: where the object's origin appears, (n, 2) as x, y.
        scale: magnification (n,).
        angle: rotation in radians (n,).
    """

    def __init__(self, size: int, shift: Array, scale: Array, angle: Array) -> None:
        self.size = size
        self.axis = ((np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1).astype(np.float32)
        self.shift, self.scale = shift, scale
        self.cos, self.sin = np.cos(angle), np.sin(angle)
        u = (self.axis[None, None, :] - field(shift[:, 0])) / field(scale)
        v = (self.axis[None, :, None] - field(shift[:, 1])) / field(scale)
        self.x = u * field(self.cos) + v * field(self.sin)
        self.y = v * field(self.cos) - u * field(self.sin)

    @property
    def pixel(self) -> Array:
        """Width of a pixel in the object's units, (n, 1, 1)."""
        return field(np.float32(2 / self.size) / self.scale)

    @cached_property
    def frame(self) -> tuple[Array, Array]:
        """x and y of the image itself, whatever the pose, of shapes (1, 1, w) and (1, h, 1)."""
        return self.axis[None, None, :], self.axis[None, :, None]

    def edge(self, distance: Array, softness: Array | float = 0.0) -> Array:
        """1 where a signed distance is positive, with an edge of width `softness`, at least a pixel."""
        return ramp(distance, np.maximum(self.pixel, field(softness)))

    def polar(self, cx: Array, cy: Array, rx: Array, ry: Array, angle: Array | float = 0.0) -> tuple[Array, Array]:
        """Coordinates in which the ellipse with these half axes is the unit circle."""
        cos, sin = field(np.cos(angle)), field(np.sin(angle))
        dx, dy = self.x - field(cx), self.y - field(cy)
        return (dx * cos + dy * sin) / field(rx), (dy * cos - dx * sin) / field(ry)

    def ellipse(
        self, cx: Array, cy: Array, rx: Array, ry: Array, angle: Array | float = 0.0, softness: Array | float = 0.0
    ) -> Array:
        """A filled ellipse, 0 to 1."""
        return self.edge(self.ellipse_distance(cx, cy, rx, ry, angle), softness)

    def ellipse_distance(self, cx: Array, cy: Array, rx: Array, ry: Array, angle: Array | float = 0.0) -> Array:
        """About the distance to an ellipse, positive inside."""
        a, b = self.polar(cx, cy, rx, ry, angle)
        return (1 - np.sqrt(a * a + b * b)) * field(np.minimum(rx, ry))

    def blob_distance(self, cx: Array, cy: Array, rx: Array, ry: Array, angle: Array, lobes: Array) -> Array:
        """About the distance to an ellipse with a wavy border, positive inside.

        Args:
            lobes: amplitudes (n, k, 2) of cosine and sine of 2, 3, ... k + 1 waves around, relative to the radius.
        """
        a, b = self.polar(cx, cy, rx, ry, angle)
        radius = np.sqrt(a * a + b * b) + np.float32(1e-6)
        step_cos, step_sin = a / radius, b / radius
        cos, sin = step_cos, step_sin
        border = np.ones_like(radius)
        for k in range(lobes.shape[1]):
            cos, sin = cos * step_cos - sin * step_sin, sin * step_cos + cos * step_sin
            border += field(lobes[:, k, 0]) * cos + field(lobes[:, k, 1]) * sin
        return (border - radius) * field(np.minimum(rx, ry))

    def spots(self, cx: Array, cy: Array, sigma: Array, weight: Array) -> Array:
        """The sum of k Gaussian spots an image, all parameters (n, k); a spot smaller than a pixel keeps its sum."""
        scale, cos, sin = self.scale[:, None], self.cos[:, None], self.sin[:, None]
        u = (cx * cos - cy * sin) * scale + self.shift[:, :1]
        v = (cx * sin + cy * cos) * scale + self.shift[:, 1:]
        square = (sigma * scale) ** 2
        blurred = square + np.float32((PIXEL_BLUR * 2 / self.size) ** 2)
        narrow = (np.float32(-0.5) / blurred)[..., None]
        across = np.exp((self.axis - u[..., None]) ** 2 * narrow)
        down = np.exp((self.axis - v[..., None]) ** 2 * narrow) * (weight * square / blurred)[..., None]
        blocks = range(0, cx.shape[1], SPOTS_AT_ONCE)
        return sum(
            (
                np.matmul(down[:, k : k + SPOTS_AT_ONCE].transpose(0, 2, 1), across[:, k : k + SPOTS_AT_ONCE])
                for k in blocks
            ),
            np.zeros((len(cx), self.size, self.size), np.float32),
        )

    def strokes(self, path: Array, sigma: Array, weight: Array) -> Array:
        """The sum of curves with a Gaussian profile; their points are joined more finely on more pixels.

        Args:
            path: points (n, curves, points, 2); on 32 pixels not farther apart than about a pixel.
            sigma: half thickness (n, curves, points).
            weight: height of the profile (n, curves, points).
        """
        n = len(path)
        between = -(-self.size // 48)
        path, sigma, weight = (_refine(a, between) for a in (path, sigma[..., None], weight[..., None]))
        sigma, weight = sigma[..., 0], weight[..., 0]
        spacing = np.sqrt((np.diff(path, axis=2) ** 2).sum(-1))
        spacing = np.concatenate([spacing, spacing[..., -1:]], axis=2)
        weight = weight * spacing / (sigma * np.float32(np.sqrt(2 * np.pi)))
        return self.spots(*(a.reshape(n, -1) for a in (path[..., 0], path[..., 1], sigma, weight)))


def _refine(points: Array, factor: int) -> Array:
    """Points (n, curves, points, d) with `factor` - 1 more between neighbours, on straight lines."""
    if factor == 1:
        return points
    share = (np.arange(factor, dtype=np.float32) / factor)[:, None]
    lines = points[:, :, :-1, None, :] + share * np.diff(points, axis=2)[:, :, :, None, :]
    inner = lines.reshape(*points.shape[:2], -1, points.shape[3])
    return np.concatenate([inner, points[:, :, -1:]], axis=2)


def clouds(size: int, draws: Array, *, band: tuple[float, float], slope: float = 1.0) -> Array:
    """A smooth random texture of mean 0 and variance about 1.

    Args:
        size: pixels a side.
        draws: normal draws (n, 2 k, 2 k): cosines and sines of 0 to k - 1 half waves across, times the same down.
        band: lowest and highest spatial frequency, in half waves across the image.
        slope: amplitudes fall with this power of the frequency.
    """
    k = draws.shape[1] // 2
    axis = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(2 / size) - 1
    waves = np.arange(k, dtype=np.float32)
    phase = np.float32(np.pi / 2) * axis[:, None] * waves
    basis = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
    frequency = np.sqrt(np.add.outer(np.tile(waves, 2) ** 2, np.tile(waves, 2) ** 2))
    inside = (frequency >= band[0]) & (frequency <= band[1])
    amplitude = np.where(inside, np.maximum(frequency, 1) ** -slope, 0).astype(np.float32)
    amplitude *= 2 / np.sqrt((amplitude**2).sum())
    texture: Array = np.matmul(np.matmul(basis, draws * amplitude), basis.T)
    return texture


def arc(start: Array, heading: Array, length: Array, bend: Array, points: int) -> Array:
    """Curves that leave `start` in direction `heading` (radians) and turn by `bend` on their way.

    Args:
        start: (n, curves, 2).
        heading, length, bend: (n, curves).
        points: number of points along a curve.

    Returns:
        Points (n, curves, points, 2).
    """
    along = np.linspace(0, 1, points, dtype=np.float32)
    direction = heading[..., None] + bend[..., None] * along
    steps = np.stack([np.cos(direction), np.sin(direction)], axis=-1) * (length[..., None, None] / (points - 1))
    path = np.cumsum(steps, axis=2) - steps[:, :, :1]
    return (start[:, :, None, :] + path).astype(np.float32)


def colour(fields: Array, *rgb: float) -> Array:
    """A grey field (n, h, w) times a colour, (n, h, w, 3)."""
    return fields[..., None] * np.asarray(rgb, dtype=np.float32)


def blend(image: Array, rgb: Array | tuple[float, float, float], weight: Array) -> Array:
    """An image (n, h, w, 3) with a colour, (3,), (n, 3) or an image, laid over it where weight (n, h, w) is 1."""
    over = np.asarray(rgb, dtype=np.float32)
    if over.ndim == 2:
        over = over[:, None, None, :]
    return image + (over - image) * weight[..., None]
