"""What probes measured, as numbers: loss surfaces, and images as points in the plane."""

from __future__ import annotations

from medrobust import StoreError

from .. import figures
from ..figure_specs import EXAMPLE, EXAMPLES, ScatterSpec, SurfacesSpec
from ..report import PaperReport
from .combinations import label_combinations, title_of
from .probed import Probed, probed_cell, rows_with_probes
from .tiles import as_pixels

LEVELS = 255
"""Radii are shown in grey levels of 255."""


def surface_panels(report: PaperReport, spec: SurfacesSpec) -> list[figures.Surface]:
    """The loss surfaces of a figure, from left to right."""
    selected = rows_with_probes(report, spec)
    axes = [axis for axis in spec.columns if axis != EXAMPLE]
    panels = []
    for key in label_combinations(axes, spec, selected):
        found = probed_cell(report, spec.id, key, selected, axes)
        if found is not None:
            panels += _surfaces(found, spec, title_of(spec, key))
    return panels


def _surfaces(found: Probed, spec: SurfacesSpec, title: str) -> list[figures.Surface]:
    try:
        positions, arrays = found.common(spec.probes)
        decided = found.decided(found.record.clean, positions)
    except StoreError:
        # Not measured, or not yet: the figure shows the others.
        return []
    measured, images = arrays[spec.probe], arrays[EXAMPLES]["clean"]
    panels = []
    for number in found.order(positions, right_first=True)[: spec.examples]:
        eps = measured["eps"][number] * LEVELS
        image = figures.Tile(pixels=as_pixels(images[number]), title=title, caption=decided[number])
        panels.append(figures.Surface(image=image, x=eps, y=eps, z=measured["loss"][number]))
    return panels


def scatter_panels(report: PaperReport, spec: ScatterSpec) -> list[list[figures.ScatterPanel | None]]:
    """Rows of panels; a row without any is left out."""
    selected = rows_with_probes(report, spec)
    axes = (*spec.rows, *spec.columns)
    rows = []
    for row in label_combinations(spec.rows, spec, selected):
        line: list[figures.ScatterPanel | None] = []
        for column in label_combinations(spec.columns, spec, selected):
            found = probed_cell(report, spec.id, {**row, **column}, selected, axes)
            groups = _places(found, spec.probe) if found is not None else {}
            panel = figures.ScatterPanel(row=title_of(spec, row), column=title_of(spec, column), groups=groups)
            line.append(panel if groups else None)
        if any(line):
            rows.append(line)
    return rows


def _places(found: Probed, probe: str) -> dict[str, figures.Places]:
    try:
        arrays = found.arrays(probe)
    except StoreError:
        return {}
    return {name: arrays[name] for name in ("clean", "adversarial")}
