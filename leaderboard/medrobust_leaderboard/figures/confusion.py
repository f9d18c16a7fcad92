"""Confusion matrices, normalised by row, with their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import INK, balanced, drawing_style, small_multiples

CELL = 0.37
"""Side of one cell in inches: room for three digits."""


@dataclass(frozen=True, kw_only=True)
class ConfusionMatrix:
    """Counts or rates, `values[row][column]`; rows are usually true classes, columns predicted ones."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if len(self.values) != len(self.rows) or any(len(row) != len(self.columns) for row in self.values):
            raise ValueError(
                f"confusion matrix {self.title!r}: values must be {len(self.rows)} rows of {len(self.columns)}"
            )

    def normalised(self) -> list[list[float | None]]:
        """Each row divided by its sum; None throughout a row without images."""
        return [[value / total if (total := sum(row)) > 0 else None for value in row] for row in self.values]


def confusion(
    matrices: Sequence[ConfusionMatrix], *, row_label: str = "true", column_label: str = "predicted", columns: int = 3
) -> Figure:
    """One heat map for each matrix, on one colour scale from 0 to 1, numbers in percent without decimals."""
    with drawing_style():
        widest = max((len(matrix.columns) for matrix in matrices), default=1)
        tallest = max((len(matrix.rows) for matrix in matrices), default=1)
        names = max((len(name) for matrix in matrices for name in matrix.rows), default=0)
        title = max((len(matrix.title) for matrix in matrices), default=0)
        room = 0.45 + 0.075 * names
        size = (max(CELL * widest + room, 0.085 * title + 0.3), CELL * tallest + 0.045 * names + 0.65)
        figure, axes = small_multiples(len(matrices), columns, size, share=False)
        for index, (matrix, ax) in enumerate(zip(matrices, axes, strict=True)):
            _draw(ax, matrix)
            ax.set_xlabel(column_label)
            if index % balanced(len(matrices), columns) == 0:
                ax.set_ylabel(row_label)
        # The side of a square follows from the room that names leave, and the other way round: a first pass of the
        # layout, before the one of drawing.
        figure.draw_without_rendering()
        return figure


def confusion_data(matrices: Sequence[ConfusionMatrix]) -> list[dict[str, object]]:
    """What is plotted: a row for each cell, with the value given and its share of the row."""
    return [
        {"panel": matrix.title, "row": row, "column": column, "value": value, "share": share}
        for matrix in matrices
        for row, values, shares in zip(matrix.rows, matrix.values, matrix.normalised(), strict=True)
        for column, value, share in zip(matrix.columns, values, shares, strict=True)
    ]


def _draw(ax: Axes, matrix: ConfusionMatrix) -> None:
    shares = matrix.normalised()
    filled = np.array([[np.nan if share is None else share for share in row] for row in shares], dtype=np.float64)
    ax.imshow(filled, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    for y, row in enumerate(shares):
        for x, share in enumerate(row):
            text = "–" if share is None else f"{100 * share:.0f}"
            color = "white" if share is not None and share > 0.55 else INK
            ax.text(x, y, text, ha="center", va="center", fontsize=7, color=color)
    ax.set_title(matrix.title)
    slanted = max(map(len, matrix.columns), default=0) > 3
    ax.set_xticks(range(len(matrix.columns)), matrix.columns)
    if slanted:
        ax.set_xticklabels(matrix.columns, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(matrix.rows)), matrix.rows)
    ax.tick_params(length=0)
    ax.grid(visible=False)
    # White seams instead of a frame: the cells are the picture.
    ax.spines[:].set_visible(False)
    ax.set_xticks(np.arange(len(matrix.columns) - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(len(matrix.rows) - 1) + 0.5, minor=True)
    ax.grid(visible=True, which="minor", color="white", linewidth=1.2)
