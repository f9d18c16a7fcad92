"""Clean and adversarial images as points in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy.typing as npt
from matplotlib.figure import Figure

from .style import PALETTE, drawing_style, shared_legend

Places = npt.NDArray[Any]
"""Places in the plane (n, 2)."""
SIDE: Final = 1.5
"""Of a panel, in inches."""
GROUPS: Final = {"clean": PALETTE[0], "adversarial": PALETTE[4]}
"""Blue and orange, as in ma2020."""


@dataclass(frozen=True, kw_only=True)
class ScatterPanel:
    """Places (n, 2) of images in one panel, by group: `clean` and `adversarial`."""

    row: str
    column: str
    groups: dict[str, Places] = field(compare=False, repr=False)


def scatter(rows: Sequence[Sequence[ScatterPanel | None]]) -> Figure:
    """A panel for each row and column; the axes have no meaning and no numbers."""
    with drawing_style():
        columns = max((len(row) for row in rows), default=1)
        figure = Figure(figsize=(SIDE * columns + 0.4, SIDE * len(rows) + 0.5), layout="constrained")
        grid = figure.subplots(len(rows), columns, squeeze=False)
        named = []
        for number, (row, axes) in enumerate(zip(rows, grid, strict=True)):
            for ax, panel in zip(axes, row, strict=True):
                ax.set_xticks([])
                ax.set_yticks([])
                ax.grid(visible=False)
                ax.spines[:].set_visible(panel is not None)
                if panel is None:
                    continue
                for name, places in panel.groups.items():
                    color = GROUPS.get(name, PALETTE[1])
                    points = ax.scatter(places[:, 0], places[:, 1], s=5, color=color, linewidths=0, alpha=0.85)
                    named.append((points, name))
                if number == 0:
                    ax.set_title(panel.column, loc="center")
            first = next((panel for panel in row if panel is not None), None)
            axes[0].set_ylabel(first.row if first else "", fontweight="bold")
        shared_legend(figure, named)
        return figure


def scatter_data(rows: Sequence[Sequence[ScatterPanel | None]]) -> list[dict[str, object]]:
    """What is plotted: a row for each point; the two points of an image have one number."""
    return [
        {
            "row": panel.row,
            "column": panel.column,
            "group": name,
            "image": number,
            "x": float(place[0]),
            "y": float(place[1]),
        }
        for row in rows
        for panel in row
        if panel is not None
        for name, places in panel.groups.items()
        for number, place in enumerate(places)
    ]
