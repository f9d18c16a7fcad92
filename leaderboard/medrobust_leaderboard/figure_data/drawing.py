"""Drawing the figures of a paper, as far as what they show has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from .. import figures
from ..figure_specs import (
    SHOW,
    BarsSpec,
    ConfusionSpec,
    CurvesSpec,
    FigureSpec,
    ImagesSpec,
    ScatterSpec,
    SurfacesSpec,
)
from ..report import PaperReport
from .measured import scatter_panels, surface_panels
from .numbers import bar_panels, confusion_matrices, curve_panels
from .probed import layers_in_words
from .tiles import image_tiles, wrapped


@dataclass(frozen=True)
class DrawnFigure:
    """A figure that was drawn, or why it was not."""

    spec: FigureSpec
    saved: figures.SavedFigure | None
    absent: str = ""


def draw_figures(report: PaperReport, folder: Path) -> list[DrawnFigure]:
    """Draw every figure of a paper into `folder` as PNG and SVG beside its CSV.

    A figure whose files exist and show the same is not drawn again: drawing takes longer than everything else.
    """
    file = folder / KEYS
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    keys: dict[str, str] = {}
    drawn = []
    for spec in report.paper.figures:
        content = _content(report, spec)
        if content is None:
            drawn.append(DrawnFigure(spec, None, "no records of what it shows"))
            continue
        if note := _layers(report, spec):
            spec = replace(spec, caption=" ".join(text for text in (spec.caption, note) if text))
        stem, keys[spec.id] = folder / spec.id, content.key(spec)
        saved = figures.SavedFigure.of(stem)
        if known.get(spec.id) != keys[spec.id] or not saved.exists:
            saved = figures.save(content.draw(), content.data, stem)
        # What is found while it is drawn belongs to the caption wherever the figure is shown.
        drawn.append(DrawnFigure(replace(spec, caption=" ".join((spec.caption, *content.notes))), saved))
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(keys, indent=1) + "\n", encoding="utf-8")
    return drawn


KEYS = "figures.json"
"""What each figure of a folder shows, as a hash."""


@dataclass(frozen=True)
class _Content:
    """What a figure shows, and how to draw it."""

    data: list[dict[str, object]]
    draw: Callable[[], Figure]
    pixels: bytes = b""
    notes: tuple[str, ...] = ()

    def key(self, spec: FigureSpec) -> str:
        """A hash of numbers, images, specification and code."""
        parts = [repr(spec), json.dumps(self.data, default=str), _code()]
        return hashlib.sha256("\0".join(parts).encode() + self.pixels).hexdigest()[:20]


@cache
def _code() -> str:
    """Hash of the code that draws."""
    folders = (Path(figures.__file__).parent, Path(__file__).parent)
    files = [file for folder in folders for file in sorted(folder.glob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _content(report: PaperReport, spec: FigureSpec) -> _Content | None:
    if isinstance(spec, CurvesSpec):
        panels = curve_panels(report, spec)
        labels: dict[str, Any] = {"x_label": spec.x_label, "y_label": spec.y_label, "x_scale": spec.x_scale}
        draw = partial(figures.curves, panels, **labels, counts=spec.counts, columns=spec.columns)
        notes = tuple(note for panel in panels for series in panel.series for note in series.notes)
        return _Content(figures.curves_data(panels), draw, notes=notes) if panels else None
    if isinstance(spec, BarsSpec):
        bars = bar_panels(report, spec)
        draw = partial(figures.bars, bars, y_label=spec.y_label, control_label=spec.control_label, columns=spec.columns)
        return _Content(figures.bars_data(bars), draw) if bars else None
    if isinstance(spec, ConfusionSpec):
        matrices = confusion_matrices(report, spec)
        rows = "true" if spec.metric == "confusion_matrix" else "decided when clean"
        draw = partial(figures.confusion, matrices, row_label=rows, column_label="predicted", columns=spec.columns)
        return _Content(figures.confusion_data(matrices), draw) if matrices else None
    if isinstance(spec, SurfacesSpec):
        surfaces = surface_panels(report, spec)
        labels = {"x_label": spec.x_label, "y_label": spec.y_label, "z_label": spec.z_label}
        pixels = b"".join(panel.image.pixels.tobytes() for panel in surfaces)
        draw = partial(figures.surfaces, surfaces, **labels)
        return _Content(figures.surfaces_data(surfaces), draw, pixels) if surfaces else None
    if isinstance(spec, ScatterSpec):
        points = scatter_panels(report, spec)
        return _Content(figures.scatter_data(points), partial(figures.scatter, points)) if points else None
    row_labels, tiles = wrapped(*image_tiles(report, spec), spec.per_line)
    pixels = b"".join(tile.pixels.tobytes() for row in tiles for tile in row if tile is not None)
    draw = partial(figures.images, tiles, row_labels=row_labels)
    return _Content(figures.images_data(tiles), draw, pixels) if tiles else None


def _layers(report: PaperReport, spec: FigureSpec) -> str:
    """A sentence on the layers that a figure shows, of all its cells; empty if it shows none."""
    if isinstance(spec, ImagesSpec):
        names = {probe: spec.shown(SHOW, f"{probe}.clean") for probe in spec.probes}
    elif isinstance(spec, ScatterSpec):
        names = {spec.probe: spec.shown("probe", spec.probe)}
    else:
        return ""
    entries = [s.entry for s in report.selected(spec) if s.cell]
    return layers_in_words(report.store, entries, names)
