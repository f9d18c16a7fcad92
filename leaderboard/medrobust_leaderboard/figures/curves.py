"""Curves of a number over a budget (or any x): intervals as bands, controls dashed, small multiples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import GREY, color_of, drawing_style, label_outer, marker_of, percent_ticks, shared_legend, small_multiples

SeriesStyle = Literal["line", "control", "reference"]
_TICKS = 6
"""Of a logarithmic axis, at most; more places, as of a curve over every radius, have one of several labelled."""
XScale = Literal["linear", "log", "even"]


@dataclass(frozen=True, kw_only=True)
class Series:
    """One curve; None in `y` is a gap.

    Attributes:
        low, high: ends of the interval at each x, or empty.
        n: images behind each point, or empty.
        notes: what a reader should know of it; for the caption.
        style: "line" (ours, solid), "control" (dashed, no markers), "reference" (the paper's, dotted, hollow markers).
        like: label of the series whose colour this one takes; a control without it is grey.
    """

    label: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    n: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    style: SeriesStyle = "line"
    like: str = ""

    def __post_init__(self) -> None:
        lengths = {len(self.x), len(self.y)} | {len(ends) for ends in (self.low, self.high, self.n) if ends}
        if len(lengths) > 1:
            raise ValueError(f"series {self.label!r}: x, y, low, high and n have different lengths {sorted(lengths)}")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A horizontal dotted line across a panel, such as the clean accuracy or chance."""

    label: str
    y: float


@dataclass(frozen=True, kw_only=True)
class CurvePanel:
    """One panel of a figure of curves."""

    title: str
    series: tuple[Series, ...]
    lines: tuple[Line, ...] = ()


def curves(
    panels: Sequence[CurvePanel],
    *,
    x_label: str,
    y_label: str,
    x_scale: XScale = "linear",
    y_range: tuple[float, float] | None = (0.0, 1.0),
    percent: bool = True,
    counts: bool = False,
    columns: int = 3,
    panel_size: tuple[float, float] = (2.5, 2.1),
) -> Figure:
    """Small multiples with shared axes and one legend; a label has the same colour in every panel.

    Args:
        x_scale: "even" spaces the x values equally, whatever lies between them.
        y_range: range of y, a little widened so that markers on its ends are whole; None fits the data.
        percent: show y, given as fractions, in percent (the CSV keeps fractions).
        counts: write the images behind each point below it; for panels of one series with a linear x axis.
    """
    with drawing_style():
        figure, axes = small_multiples(len(panels), columns, panel_size)
        order = _order_of_labels(panels)
        positions = sorted({x for panel in panels for series in panel.series for x in series.x})
        legend: list[tuple[Artist, str]] = []
        for panel, ax in zip(panels, axes, strict=True):
            ax.set_title(panel.title)
            legend += [(_draw_series(ax, series, order, positions, x_scale), series.label) for series in panel.series]
            legend += [(_draw_line(ax, line, index), line.label) for index, line in enumerate(panel.lines)]
            for series in panel.series if counts else ():
                _write_counts(ax, series)
        for ax in axes:
            _set_x_axis(ax, positions, x_scale)
            if y_range is not None:
                margin = 0.03 * (y_range[1] - y_range[0])
                ax.set_ylim(y_range[0] - (5 if counts else 1) * margin, y_range[1] + margin)
            if percent:
                percent_ticks(ax)
        label_outer(axes, columns, x_label, y_label)
        shared_legend(figure, legend)
        return figure


def curves_data(panels: Sequence[CurvePanel]) -> list[dict[str, object]]:
    """What is plotted, a row for each point and line."""
    rows: list[dict[str, object]] = []
    for panel in panels:
        for series in panel.series:
            lows = series.low or (None,) * len(series.x)
            highs = series.high or (None,) * len(series.x)
            for place, (x, y, low, high) in enumerate(zip(series.x, series.y, lows, highs, strict=True)):
                n = series.n[place] if series.n else None
                rows.append(_row(panel.title, series.label, series.style, x, y, low, high, n))
        rows += [_row(panel.title, line.label, "horizontal", None, line.y) for line in panel.lines]
    return rows


def _row(
    panel: str,
    series: str,
    style: str,
    x: float | None,
    y: float | None,
    low: float | None = None,
    high: float | None = None,
    n: int | None = None,
) -> dict[str, object]:
    return {"panel": panel, "series": series, "style": style, "x": x, "y": y, "low": low, "high": high, "n": n}


def _order_of_labels(panels: Sequence[CurvePanel]) -> dict[str, int]:
    """An index for each label that has a colour of its own, by first appearance over all panels."""
    every = [series for panel in panels for series in panel.series]
    own = dict.fromkeys(series.label for series in every if not series.like and series.style != "control")
    return {label: index for index, label in enumerate(own)}


def _draw_series(
    ax: Axes, series: Series, order: Mapping[str, int], positions: Sequence[float], x_scale: XScale
) -> Artist:
    index = order.get(series.like or series.label)
    color = GREY if index is None else color_of(index)
    x = np.array([positions.index(value) for value in series.x] if x_scale == "even" else series.x, dtype=float)
    y = _with_gaps(series.y)
    if series.low and series.high:
        ax.fill_between(x, _with_gaps(series.low), _with_gaps(series.high), color=color, alpha=0.16, linewidth=0)
    look: dict[str, object] = {"color": color, "zorder": 3, "label": series.label}
    if series.style == "control":
        look |= {"linestyle": (0, (4, 2)), "linewidth": 1.0, "zorder": 2}
    else:
        look |= {"marker": marker_of(index or 0), "markeredgewidth": 0.8}
        look |= {"markeredgecolor": "white"} if series.style == "line" else {"markerfacecolor": "white"}
    if series.style == "reference":
        look |= {"linestyle": (0, (1, 1.6)), "linewidth": 1.0}
    (line,) = ax.plot(x, y, **look)  # type: ignore[arg-type]
    return line


def _write_counts(ax: Axes, series: Series) -> None:
    """The number of images behind each point, below the range of y."""
    for x, count in zip(series.x, series.n, strict=True):
        ax.text(x, 0.02, f"{count}", transform=ax.get_xaxis_transform(), fontsize=5, color=GREY, ha="center")


def _draw_line(ax: Axes, line: Line, index: int) -> Artist:
    pattern = ((1, 1.5), (6, 2, 1, 2), (8, 3))[index % 3]
    return ax.axhline(line.y, color=GREY, linestyle=(0, pattern), linewidth=0.9, zorder=1.5)


def _set_x_axis(ax: Axes, positions: Sequence[float], x_scale: XScale) -> None:
    if x_scale == "even":
        ax.set_xticks(range(len(positions)), [f"{x:g}" for x in positions])
    elif x_scale == "log" and positions:
        positive = [x for x in positions if x > 0]
        # A logarithmic axis has no zero; budgets do, and they go on a short linear piece.
        ax.set_xscale("symlog", linthresh=min(positive, default=1.0), linscale=0.5)
        shown = positions[:: math.ceil(len(positions) / _TICKS)]
        ax.set_xticks(shown, [f"{x:,.0f}" if x >= 1000 else f"{x:.3g}" for x in shown])
        ax.set_xticks([], minor=True)
        span = 10 ** (0.04 * np.log10(max(positive, default=10) / min(positive, default=1)))
        left = -0.15 * positive[0] if positive and positions[0] <= 0 else positions[0] / span
        ax.set_xlim(left, positions[-1] * span)


def _with_gaps(values: Sequence[float | None]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
