"""Grids of images: examples, perturbations made visible, maps of a network, and triptychs of an attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import INK, RIGHT, WRONG, drawing_style

Pixels = npt.NDArray[Any]
LINE: Final = 0.17
"""Height in inches that a title or a line of a caption takes."""
COLORS: Final = {"map": "viridis", "change": "RdBu_r"}
"""Colour scales; white is no change."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One image of a grid.

    Attributes:
        pixels: (h, w), (h, w, 1) or (h, w, 3); uint8 or uint16 over its range, or float in [0, 1] for an image.
        title: above the image; caption: below it, such as the predicted class.
        kind: a "perturbation" has any range and is scaled from its least value (black) to its greatest (white), to
            make it visible; a "map" (h, w) and a "change" of one are shown in colours.
        limits: of a map or change, the values at the ends of the colour scale; its own least and greatest if not given.
        under: of a map, the image that it is laid over.
        right: whether the caption is right, to be green, or wrong, to be red; None where it is neither.
    """

    pixels: Pixels = field(compare=False, repr=False)
    title: str = ""
    caption: str = ""
    kind: Literal["image", "perturbation", "map", "change"] = "image"
    limits: tuple[float, float] | None = None
    under: Pixels | None = field(default=None, compare=False, repr=False)
    right: bool | None = None

    def visible(self) -> npt.NDArray[np.float64]:
        """The pixels in [0, 1] as drawn, (h, w) or (h, w, 3); of a map, places on its colour scale."""
        pixels = self.pixels[..., 0] if self.pixels.ndim == 3 and self.pixels.shape[2] == 1 else self.pixels
        if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
            raise ValueError(f"an image is (h, w), (h, w, 1) or (h, w, 3); got {self.pixels.shape}")
        values: npt.NDArray[np.float64] = np.asarray(pixels, dtype=np.float64)
        if self.kind in COLORS and values.ndim != 2:
            raise ValueError(f"a map is (h, w); got {self.pixels.shape}")
        if self.kind != "image":
            least, greatest = self.limits or (values.min(), values.max())
            span = greatest - least
            return np.clip((values - least) / span, 0.0, 1.0) if span > 0 else np.full_like(values, 0.5)
        if np.issubdtype(pixels.dtype, np.integer):
            values = values / np.iinfo(pixels.dtype).max
        return np.clip(values, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Triptych:
    """A clean image, its adversarial version and what the model said of each; both images as in `Tile`."""

    clean: Pixels = field(compare=False, repr=False)
    adversarial: Pixels = field(compare=False, repr=False)
    clean_caption: str
    adversarial_caption: str
    perturbation_caption: str = ""


def images(rows: Sequence[Sequence[Tile | None]], *, row_labels: Sequence[str] = (), tile_size: float = 1.15) -> Figure:
    """A grid of images, `tile_size` inches wide each; None leaves a place empty."""
    with drawing_style():
        columns = max((len(row) for row in rows), default=1) or 1
        height = sum(tile_size + LINE * _lines_of_text(row) + 0.06 for row in rows)
        figure = Figure(figsize=(columns * tile_size + (0.3 if row_labels else 0.1), height), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.0, hspace=0.0)  # type: ignore[union-attr,call-arg]
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for number, (row, axes) in enumerate(zip(rows, grid, strict=True)):
            for place, ax in enumerate(axes):
                _draw(ax, row[place] if place < len(row) else None)
            if number < len(row_labels):
                axes[0].set_ylabel(row_labels[number], fontweight="bold")
        return figure


def images_data(rows: Sequence[Sequence[Tile | None]]) -> list[dict[str, object]]:
    """What is shown: place, words, size and range of each image (the pixels are in the picture)."""
    return [
        {
            "row": number,
            "column": place,
            "title": tile.title,
            "caption": tile.caption,
            "right": tile.right,
            "kind": tile.kind,
            "height": tile.pixels.shape[0],
            "width": tile.pixels.shape[1],
            "least": float(tile.pixels.min()),
            "greatest": float(tile.pixels.max()),
            "mean": float(tile.pixels.mean()),
        }
        for number, row in enumerate(rows)
        for place, tile in enumerate(row)
        if tile is not None
    ]


def triptych(examples: Sequence[Triptych], *, row_labels: Sequence[str] = (), tile_size: float = 1.3) -> Figure:
    """A row for each example: clean, perturbation (scaled to be seen), adversarial."""
    return images(triptych_tiles(examples), row_labels=row_labels, tile_size=tile_size)


def triptych_tiles(examples: Sequence[Triptych]) -> list[list[Tile]]:
    """The tiles of `triptych`, for `images_data`; only the first row has titles."""
    rows = []
    for number, example in enumerate(examples):
        titles = ("clean", "perturbation", "adversarial") if number == 0 else ("", "", "")
        difference = _as_float(example.adversarial) - _as_float(example.clean)
        rows.append(
            [
                Tile(pixels=example.clean, title=titles[0], caption=example.clean_caption),
                Tile(pixels=difference, title=titles[1], caption=example.perturbation_caption, kind="perturbation"),
                Tile(pixels=example.adversarial, title=titles[2], caption=example.adversarial_caption),
            ]
        )
    return rows


def _as_float(pixels: Pixels) -> npt.NDArray[np.float64]:
    scale = np.iinfo(pixels.dtype).max if np.issubdtype(pixels.dtype, np.integer) else 1.0
    return np.asarray(pixels, dtype=np.float64) / scale


def _lines_of_text(row: Sequence[Tile | None]) -> int:
    """Lines that titles and captions of a row take above and below its images."""
    tiles = [tile for tile in row if tile is not None]
    return sum(
        max((text.count("\n") + 1 for text in texts if text), default=0)
        for texts in ([tile.title for tile in tiles], [tile.caption for tile in tiles])
    )


def _draw(ax: Axes, tile: Tile | None) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    if tile is None:
        return
    if tile.under is not None:
        _draw_over(ax, tile, tile.under)
    else:
        # Nearest: a pixel of a small image is shown as it is, not smoothed into something the model never saw.
        ax.imshow(tile.visible(), cmap=COLORS.get(tile.kind, "gray"), vmin=0, vmax=1, interpolation="nearest")
    ax.set_title(tile.title, loc="center", fontsize=7.5)
    color = {True: RIGHT, False: WRONG, None: INK}[tile.right]
    ax.set_xlabel(tile.caption, fontsize=7, labelpad=3, color=color)


def _draw_over(ax: Axes, tile: Tile, under: Pixels) -> None:
    """A map in colours over its image: smoothed, as one of its values stands for many pixels."""
    image = Tile(pixels=under).visible()
    height, width = image.shape[:2]
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.imshow(tile.visible(), cmap="turbo", vmin=0, vmax=1, alpha=0.5, interpolation="bilinear", extent=extent)
