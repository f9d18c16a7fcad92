"""The one style of all figures: sizes in points and inches, colours, markers, and the frame around panels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Final

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito (2008), Color Universal Design, without the yellow that white paper swallows, and a brown.
PALETTE: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333", "#8C510A")
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "<")
GREY: Final = "#767676"
INK: Final = "#222222"
RIGHT: Final = "#00795A"
WRONG: Final = "#B84A00"
"""Right and wrong decisions: green and red of the palette, dark enough for small letters."""

STYLE: Final[dict[str, object]] = {
    # Shipped with matplotlib, so that a figure looks the same on every machine.
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 6,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.2,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 200,
    # Without these two an SVG of equal content differs from run to run, and from machine to machine.
    "svg.hashsalt": "medrobust",
    "svg.fonttype": "path",
}


def drawing_style() -> AbstractContextManager[None]:
    """The style for the duration of a block; matplotlib's own settings are as before afterwards."""
    return mpl.rc_context(STYLE)  # type: ignore[arg-type]


def small_multiples(
    count: int, columns: int, panel_size: tuple[float, float], *, share: bool = True
) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels of `panel_size` (width, height in inches), `balanced` in rows."""
    columns = balanced(count, columns)
    rows = max(1, -(-count // columns))
    figure = Figure(figsize=(columns * panel_size[0] + 0.4, rows * panel_size[1] + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=share, sharey=share, squeeze=False)
    panels: list[Axes] = list(grid.ravel())
    for spare in panels[count:]:
        spare.remove()
    if share:
        # The panel above a gap in the last row is the lowest of its column, and shows its ticks.
        for panel in panels[max(0, count - columns) : count]:
            panel.tick_params(labelbottom=True)
    return figure, panels[:count]


def balanced(count: int, columns: int) -> int:
    """Panels in a row, at most `columns`, so that the last row is as full as can be: four are two by two."""
    rows = max(1, -(-count // max(1, columns)))
    return max(1, -(-count // rows))


def label_outer(panels: Sequence[Axes], columns: int, x_label: str, y_label: str) -> None:
    """Label the left panels' y axes and the lowest panels' x axes."""
    columns = balanced(len(panels), columns)
    for index, panel in enumerate(panels):
        if index % columns == 0:
            panel.set_ylabel(y_label)
        if index + columns >= len(panels):
            panel.set_xlabel(x_label)


def shared_legend(figure: Figure, entries: Iterable[tuple[Artist, str]]) -> None:
    """One legend below all panels, each label once, so that it never covers data."""
    unique: dict[str, Artist] = {}
    for handle, label in entries:
        if label:
            unique.setdefault(label, handle)
    if not unique:
        return
    # As many to a row as the width holds: a handle and a label of 7.5 points.
    longest = max(map(len, unique))
    per_row = max(1, int(figure.get_figwidth() / (0.45 + 0.065 * longest)))
    rows = -(-len(unique) // per_row)
    figure.legend(
        list(unique.values()),
        list(unique),
        loc="outside lower center",
        ncols=-(-len(unique) // rows),
        columnspacing=1.4,
    )


def color_of(index: int) -> str:
    """The colour of the series with this index; repeats after eight."""
    return PALETTE[index % len(PALETTE)]


def marker_of(index: int) -> str:
    """The marker of the series with this index; repeats after eight."""
    return MARKERS[index % len(MARKERS)]


def percent_ticks(panel: Axes) -> None:
    """Show an axis of fractions as percent."""
    panel.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}")
