"""Loss surfaces: the loss around an image over two radii, below the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from .images import Tile
from .style import drawing_style

WIDTH: Final = 2.3
"""Of a panel, in inches."""
HEIGHTS: Final = (1.15, 2.0)
"""Of image and surface, in inches."""
MARGINS: Final = {"left": 0.025, "right": 0.985, "top": 0.93, "bottom": 0.05, "wspace": 0.12, "hspace": 0.08}
SHEET: Final = {"cmap": "viridis", "rstride": 1, "cstride": 1, "linewidth": 0.1, "edgecolor": "#55555555"}


@dataclass(frozen=True, kw_only=True)
class Surface:
    """A loss surface and the image around which it lies.

    Attributes:
        image: with title and caption.
        x, y: values on the two axes (k,) and (m,).
        z: the loss (k, m), rows along x.
    """

    image: Tile
    x: npt.NDArray[Any] = field(compare=False, repr=False)
    y: npt.NDArray[Any] = field(compare=False, repr=False)
    z: npt.NDArray[Any] = field(compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.z.shape != (len(self.x), len(self.y)):
            raise ValueError(f"a surface over {len(self.x)} x {len(self.y)} places has no values {self.z.shape}")


def surfaces(panels: Sequence[Surface], *, x_label: str, y_label: str, z_label: str) -> Figure:
    """The images in one row, the surfaces below them; all surfaces on one scale, so that steepness can be compared."""
    with drawing_style():
        figure = Figure(figsize=(WIDTH * len(panels), sum(HEIGHTS) + 0.3))
        grid = figure.add_gridspec(
            2,
            len(panels),
            height_ratios=HEIGHTS,
            left=0.1 / len(panels),  # room for the label of the first vertical axis
            right=0.97,
            top=0.93,
            bottom=0.05,
            wspace=0.12,
            hspace=0.08,
        )
        top = max(float(panel.z.max()) for panel in panels) or 1.0
        for number, panel in enumerate(panels):
            image = figure.add_subplot(grid[0, number])
            image.set_axis_off()
            image.imshow(panel.image.visible(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            image.set_title(panel.image.title, loc="center")
            image.text(0.5, -0.04, panel.image.caption, ha="center", va="top", fontsize=7, transform=image.transAxes)
            _draw(figure.add_subplot(grid[1, number], projection="3d"), panel, top, (x_label, y_label, z_label))
        return figure


def surfaces_data(panels: Sequence[Surface]) -> list[dict[str, object]]:
    """What is plotted: a row for each point of each surface."""
    return [
        {
            "panel": number,
            "title": panel.image.title,
            "decided": panel.image.caption,
            "x": float(x),
            "y": float(y),
            "z": float(panel.z[i, j]),
        }
        for number, panel in enumerate(panels)
        for i, x in enumerate(panel.x)
        for j, y in enumerate(panel.y)
    ]


def _draw(ax: Any, panel: Surface, top: float, labels: tuple[str, str, str]) -> None:
    x, y = np.meshgrid(panel.x, panel.y, indexing="ij")
    ax.plot_surface(
        x, y, panel.z, cmap="viridis", vmin=0, vmax=top, rstride=1, cstride=1, linewidth=0.1, edgecolor="#55555555"
    )
    ax.set_zlim(0, top)
    # Its upper part is empty, and would cover what stands below the image.
    ax.patch.set_visible(False)
    # The corner of the clean image in front, the surface rising away from it.
    ax.view_init(elev=24, azim=-128)
    ax.tick_params(labelsize=5.5, pad=-3)
    for axis, text in zip((ax.xaxis, ax.yaxis, ax.zaxis), labels, strict=True):
        axis.set_label_text(text, fontsize=6.5)
        axis.labelpad = -8
    ax.set_box_aspect((1, 1, 0.85), zoom=1.0)
