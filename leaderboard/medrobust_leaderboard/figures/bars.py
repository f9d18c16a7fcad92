"""Grouped bars with intervals, and dashed lines for controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .curves import Line
from .style import GREY, INK, color_of, drawing_style, label_outer, percent_ticks, shared_legend, small_multiples

WIDTH_OF_GROUP = 0.78


@dataclass(frozen=True, kw_only=True)
class BarSeries:
    """One bar in each group; None leaves a group without a bar.

    Attributes:
        low, high: ends of the interval of each bar, or empty.
        control: height of a dashed line across each bar, such as that of a random UAP, or empty.
    """

    label: str
    values: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    control: tuple[float | None, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BarPanel:
    """One panel: series over groups, and lines across the whole panel."""

    title: str
    groups: tuple[str, ...]
    series: tuple[BarSeries, ...]
    lines: tuple[Line, ...] = ()

    def __post_init__(self) -> None:
        for series in self.series:
            given = (series.low, series.high, series.control)
            lengths = {len(series.values)} | {len(values) for values in given if values}
            if lengths != {len(self.groups)}:
                raise ValueError(
                    f"panel {self.title!r}, series {series.label!r}: {len(self.groups)} groups need as many values, "
                    f"got {sorted(lengths)}"
                )


def bars(
    panels: Sequence[BarPanel],
    *,
    y_label: str,
    x_label: str = "",
    y_range: tuple[float, float] | None = (0.0, 1.0),
    percent: bool = True,
    control_label: str = "random control",
    columns: int = 3,
    panel_size: tuple[float, float] = (2.5, 2.1),
) -> Figure:
    """Small multiples of grouped bars with one legend; a label has the same colour in every panel."""
    with drawing_style():
        if len({panel.groups for panel in panels}) > 1:
            raise ValueError("panels of one figure of bars need the same groups; draw others as a figure of their own")
        figure, axes = small_multiples(len(panels), columns, panel_size)
        labels = dict.fromkeys(series.label for panel in panels for series in panel.series)
        colors = {label: color_of(index) for index, label in enumerate(labels)}
        legend: list[tuple[Artist, str]] = []
        dashed: list[tuple[Artist, str]] = []
        for panel, ax in zip(panels, axes, strict=True):
            ax.set_title(panel.title)
            legend += _draw_bars(ax, panel, colors)
            dashed += _draw_controls(ax, panel, control_label)
            for line in panel.lines:
                drawn = ax.axhline(line.y, color=GREY, linestyle=(0, (1, 1.5)), linewidth=0.9)
                dashed.append((drawn, line.label))
            _set_groups(ax, panel.groups, panel_size[0])
            ax.grid(visible=False, axis="x")
            if y_range is not None:
                ax.set_ylim(y_range[0], y_range[1] + 0.03 * (y_range[1] - y_range[0]))
            if percent:
                percent_ticks(ax)
        label_outer(axes, columns, x_label, y_label)
        shared_legend(figure, [*legend, *dashed])
        return figure


def bars_data(panels: Sequence[BarPanel]) -> list[dict[str, object]]:
    """What is plotted, a row for each bar and line."""
    rows: list[dict[str, object]] = []
    for panel in panels:
        for series in panel.series:
            none = (None,) * len(panel.groups)
            columns = (series.values, series.low or none, series.high or none, series.control or none)
            for group, value, low, high, control in zip(panel.groups, *columns, strict=True):
                rows.append(_row(panel.title, group, series.label, value, low, high, control))
        rows += [_row(panel.title, "", line.label, line.y, None, None, None) for line in panel.lines]
    return rows


def _row(
    panel: str,
    group: str,
    series: str,
    value: float | None,
    low: float | None,
    high: float | None,
    control: float | None,
) -> dict[str, object]:
    return {
        "panel": panel, "group": group, "series": series, "value": value, "low": low, "high": high, "control": control
    }  # fmt: skip


def _draw_bars(ax: Axes, panel: BarPanel, colors: dict[str, str]) -> list[tuple[Artist, str]]:
    legend: list[tuple[Artist, str]] = []
    for series, where, width in _places(panel):
        heights = [np.nan if value is None else value for value in series.values]
        drawn = ax.bar(where, heights, width=0.92 * width, color=colors[series.label], linewidth=0)
        legend += [(patch, series.label) for patch in drawn.patches[:1]]
        for x, low, high in zip(where, series.low, series.high, strict=False):
            if low is not None and high is not None:
                ax.vlines(x, low, high, color=INK, linewidth=0.8)
    return legend


def _draw_controls(ax: Axes, panel: BarPanel, label: str) -> list[tuple[Artist, str]]:
    legend: list[tuple[Artist, str]] = []
    for series, where, width in _places(panel):
        for x, control in zip(where, series.control, strict=False):
            if control is not None:
                dashes = ax.hlines(control, x - width / 2, x + width / 2, color=INK, linestyle=(0, (2.2, 1.2)))
                dashes.set_linewidth(1.0)
                legend.append((dashes, label))
    return legend


def _places(panel: BarPanel) -> list[tuple[BarSeries, list[float], float]]:
    """Each series with the centres of its bars and their width."""
    width = WIDTH_OF_GROUP / max(1, len(panel.series))
    first = -(len(panel.series) - 1) / 2
    return [
        (series, [group + (first + number) * width for group in range(len(panel.groups))], width)
        for number, series in enumerate(panel.series)
    ]


def _set_groups(ax: Axes, groups: Sequence[str], panel_width: float) -> None:
    ax.set_xticks(range(len(groups)))
    # About 14 characters of tick label fit an inch.
    fits = len(groups) * (max(map(len, groups), default=0) + 1) <= 14 * (panel_width - 0.4)
    if fits:
        ax.set_xticklabels(groups)
    else:
        ax.set_xticklabels(groups, rotation=40, ha="right", rotation_mode="anchor")
    ax.tick_params(axis="x", length=0)
