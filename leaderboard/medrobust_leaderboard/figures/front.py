"""Strength of attacks against what they cost, with the front of those that none beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from .style import GREY, PALETTE, drawing_style, label_outer, percent_ticks, small_multiples

PANEL = (3.4, 2.7)


@dataclass(frozen=True)
class FrontPoint:
    """One attack: passes for each image, share of images it breaks with its interval, whether none beats it in both."""

    name: str
    passes: float
    broken: float
    low: float | None = None
    high: float | None = None
    on_front: bool = False
    control: bool = False


@dataclass(frozen=True)
class FrontPanel:
    """The attacks of one track."""

    title: str
    points: tuple[FrontPoint, ...]


def fronts(panels: Sequence[FrontPanel], *, columns: int = 2) -> Figure:
    """A panel for each track; passes on a logarithmic axis that begins at 0, the front as a stepped line."""
    with drawing_style():
        figure, axes = small_multiples(len(panels), columns, PANEL)
        most = max([1.0, *(point.passes for panel in panels for point in panel.points)])
        # Panels share their axes: their limits are those of all points.
        top = 1.08 * max([0.02, *(p.broken if p.high is None else p.high for panel in panels for p in panel.points)])
        for axis, panel in zip(axes, panels, strict=True):
            axis.set_title(panel.title)
            percent_ticks(axis)
            front = sorted((p for p in panel.points if p.on_front), key=lambda p: p.passes)
            if front:
                axis.step([p.passes for p in front], [p.broken for p in front], where="post", color=PALETTE[0], lw=1.0)
            for point in panel.points:
                color = PALETTE[0] if point.on_front else GREY
                if point.low is not None and point.high is not None:
                    axis.plot([point.passes] * 2, [point.low, point.high], color=color, lw=0.7)
                marker = "x" if point.control else "o"
                face = color if point.on_front or point.control else "white"
                axis.plot(point.passes, point.broken, marker, color=color, markerfacecolor=face)
                # What is on the front lies above the others, and so do the names.
                place = (4, 3) if point.on_front or point.control else (4, -9)
                at = (point.passes, point.broken)
                axis.annotate(point.name, at, place, textcoords="offset points", fontsize=6.5)
            axis.set_xscale("symlog", linthresh=1, linscale=0.4)
            axis.set_xlim(-0.2, 3 * most)
            axis.set_xticks([0, *(10**power for power in range(len(str(int(most)))))])
            axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axis.set_ylim(-0.02, top)
        label_outer(axes, columns, "passes for each image", "images broken (%)")
    return figure


def fronts_data(panels: Sequence[FrontPanel]) -> list[dict[str, object]]:
    """The points as rows."""
    return [
        {
            "track": panel.title,
            "attack": point.name,
            "passes": point.passes,
            "broken": point.broken,
            "low": point.low,
            "high": point.high,
            "on_front": point.on_front,
            "control": point.control,
        }
        for panel in panels
        for point in panel.points
    ]
