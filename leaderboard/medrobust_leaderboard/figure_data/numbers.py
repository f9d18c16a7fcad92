"""The numbers of figures: curves, bars and confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from medrobust import BudgetSpec
from medrobust.api import CONFIDENCE_BINS, Value, radii

from .. import figures
from ..figure_specs import BarsSpec, ConfusionSpec, CurvesSpec
from ..labels import CLEAN, is_clean
from ..report import PaperReport, cells_at
from ..selection import Selected, check_unique, rule_for, spread
from .combinations import classes_of, label_combinations, title_of


def curve_panels(report: PaperReport, spec: CurvesSpec) -> list[figures.CurvePanel]:
    """The panels of a figure of curves; entries without attack (or defense) are at 0 of every curve."""
    selected = report.selected(spec)
    if spec.x in (CONFIDENCE, RADIUS):
        attacked = [s for s in selected if not is_clean(s.row)]
        selected = spread(attacked, "bin") if spec.x == CONFIDENCE else _at_radii(attacked)
    panels = []
    for panel in label_combinations(spec.panels, spec, selected):
        if is_clean(panel):
            continue
        series = [
            _series(report, spec, panel, key, selected)
            for key in label_combinations(spec.series, spec, selected)
            if not is_clean(key)
        ]
        found = tuple(s for s in series if s is not None)
        if found:
            panels.append(figures.CurvePanel(title=title_of(spec, panel), series=found))
    return panels


def _series(
    report: PaperReport,
    spec: CurvesSpec,
    panel: Mapping[str, str],
    key: Mapping[str, str],
    selected: Sequence[Selected],
) -> figures.Series | None:
    places: dict[float, list[Selected]] = {}
    measured = [each for each in selected if rule_for(each.row, spec.value, key.get("value")) is not None]
    for each in (*_unattacked(spec.x, {**panel, **key}, measured), *cells_at({**panel, **key}, measured)):
        if (x := _abscissa(report, spec.x, each)) is not None:
            places.setdefault(x, []).append(each)
    points: list[tuple[float, Value | None]] = []
    for x, cells in sorted(places.items()):
        varying = (*spec.panels, *spec.series, *_axes_of(spec.x), "budget", *spec.mean_over)
        check_unique(cells, varying, f"{report.paper.name} {spec.id}")
        rule = rule_for(cells[0].row, spec.value, key.get("value"))
        points.append((x, report.numbers.combined(cells, rule.metric) if rule else None))
    if not any(value is not None and value.scalar is not None for _, value in points):
        return None
    if spec.origin is not None:
        points = [(0.0, Value(spec.origin)), *(point for point in points if point[0] != 0)]
    control = bool(spec.control) and all(key.get(axis) == label for axis, label in spec.control.items())
    return figures.Series(
        label=title_of(spec, key),
        x=tuple(x for x, _ in points),
        y=tuple(v.scalar if v else None for _, v in points),
        low=tuple(v.interval[0] if v and v.interval else None for _, v in points),
        high=tuple(v.interval[1] if v and v.interval else None for _, v in points),
        n=tuple(v.n if v else 0 for _, v in points),
        notes=_notes(spec, panel, key, points),
        style="control" if control else "line",
        like=_partner(spec, key, selected) if control else "",
    )


def _unattacked(x: str, key: Mapping[str, str], selected: Sequence[Selected]) -> list[Selected]:
    """The clean records with which the curve of one attack begins, if the figure selects them."""
    if "attack" not in key or x.startswith("defense."):
        return []
    others = {axis: label for axis, label in key.items() if axis != "attack"}
    return cells_at(others, [s for s in selected if is_clean(s.row)])


CONFIDENCE: Final = "confidence"
"""The x axis of a metric in bins of confidence."""
RADIUS: Final = "radius"
"""The x axis of a metric at a row of radii, such as `accuracy_within`, in the units of `eps`."""
TRAIN_IMAGES: Final = "train_images"
"""The x axis of the number of images trained on."""
RADIAL: Final = ("linf", "l2", "l1", "l0")
"""Norms of budgets that have radii."""
EPS_SHARE: Final = "eps_share"
"""The x axis of radii as shares of the range of a pixel."""


def _axes_of(x: str) -> tuple[str, ...]:
    """The axes of the grid along which entries of one curve differ."""
    return {CONFIDENCE: ("bin",), RADIUS: ("bin",), TRAIN_IMAGES: ("train_set",)}.get(x, (x.partition(".")[0],))


def _at_radii(selected: Sequence[Selected]) -> list[Selected]:
    """Entries of a metric at a row of radii, one for each radius; of those whose budget has a norm."""
    found = []
    for each in selected:
        norm = _norm_of(each)
        places = range(len(radii(norm))) if norm in RADIAL else ()
        found += [replace(each, row={**each.row, "bin": str(n)}, index=n) for n in places]
    return found


def _norm_of(selected: Selected) -> str:
    cell = selected.entry.cell
    return BudgetSpec.parse(cell.axes()["budget"]).norm if cell else ""


def _notes(
    spec: CurvesSpec, panel: Mapping[str, str], key: Mapping[str, str], points: Sequence[tuple[float, Value | None]]
) -> tuple[str, ...]:
    """What a reader of a curve over confidence should know: images that are in no bin, bins without images."""
    if spec.x != CONFIDENCE:
        return ()
    values = [value for _, value in points if value is not None]
    empty = sum(value.scalar is None for value in values)
    found = [*dict.fromkeys(value.note for value in values if value.note)]
    found += [f"{empty} of {len(values)} bins without an image that is correct when clean"] if empty else []
    name = ", ".join(text for text in (title_of(spec, panel), title_of(spec, key)) if text)
    return (f"{name}: {', '.join(found)}.",) if found else ()


def _abscissa(report: PaperReport, x: str, selected: Selected) -> float | None:
    """The place of an entry on the x axis; entries without attack (or defense) are at 0."""
    if x == CONFIDENCE:
        assert selected.index is not None
        low, high = CONFIDENCE_BINS[selected.index : selected.index + 2]
        return round(float(low + high) / 2, 6)
    if x == RADIUS:
        assert selected.index is not None
        norm = _norm_of(selected)
        return round(float(radii(norm)[selected.index]) * (255 if norm == "linf" else 1), 6)
    if x == TRAIN_IMAGES:
        images = report.counts.trained(selected.entry.cell) if selected.entry.cell else None
        return None if images is None else float(sum(images.values()))
    if x == EPS_SHARE:
        radius = _abscissa(report, "eps", selected)
        return None if radius is None else round(radius / 255, 6)
    axis, dot, _ = x.partition(".")
    if selected.row.get(axis if dot else "attack") == CLEAN:
        return 0.0
    try:
        return float(selected.row.get(x, ""))
    except ValueError:
        return None


def _partner(spec: CurvesSpec, key: Mapping[str, str], selected: Sequence[Selected]) -> str:
    """The label of the series that a control belongs to: the first that differs in the control's labels alone."""
    for other in label_combinations(spec.series, spec, selected):
        same = all(other[a] == v for a, v in key.items() if a not in spec.control)
        if same and any(other[a] != spec.control[a] for a in spec.control) and not is_clean(other):
            return title_of(spec, other)
    return ""


def bar_panels(report: PaperReport, spec: BarsSpec) -> list[figures.BarPanel]:
    """The panels of a figure of bars."""
    selected = report.selected(spec)
    groups = list(label_combinations(spec.groups, spec, selected))
    panels = []
    for panel in label_combinations(spec.panels, spec, selected):
        series = []
        for key in label_combinations(spec.series, spec, selected):
            found = [_bar(report, spec, {**panel, **group, **key}, selected) for group in groups]
            values, controls = zip(*found, strict=True)
            if any(value is not None for value in values):
                series.append(
                    figures.BarSeries(
                        label=title_of(spec, key),
                        values=tuple(v.scalar if v else None for v in values),
                        low=tuple(v.interval[0] if v and v.interval else None for v in values),
                        high=tuple(v.interval[1] if v and v.interval else None for v in values),
                        control=tuple(c.scalar if c else None for c in controls) if spec.control else (),
                    )
                )
        if series:
            titles = tuple(title_of(spec, group) for group in groups)
            panels.append(figures.BarPanel(title=title_of(spec, panel), groups=titles, series=tuple(series)))
    return panels


def _bar(
    report: PaperReport, spec: BarsSpec, key: Mapping[str, str], selected: Sequence[Selected]
) -> tuple[Value | None, Value | None]:
    cells = cells_at(key, selected)
    rule = rule_for(cells[0].row, spec.value, key.get("value")) if cells else None
    if rule is None:
        return None, None
    varying = (*spec.panels, *spec.groups, *spec.series, *spec.mean_over)
    check_unique(cells, varying, f"{report.paper.name} {spec.id}")
    control = report.counterparts(cells, spec.control) if spec.control else []
    combined = report.numbers.combined
    return combined(cells, rule.metric), combined(control, rule.metric) if control else None


def confusion_matrices(report: PaperReport, spec: ConfusionSpec) -> list[figures.ConfusionMatrix]:
    """One matrix for each panel; over several seeds, their mean."""
    selected = report.selected(spec)
    matrices = []
    for panel in label_combinations(spec.panels, spec, selected):
        cells = cells_at(panel, selected)
        values = [report.numbers.get(c.cell, spec.metric) for c in cells if c.cell]
        found = [v for v in values if v is not None and v.defined]
        if not cells or len(found) < len(cells):
            continue
        check_unique(cells, (*spec.panels, *spec.mean_over), f"{report.paper.name} {spec.id}")
        mean = np.mean([np.nan_to_num(np.asarray(v.value)) for v in found], axis=0)
        names = tuple(classes_of(cells[0].entry))
        shares = tuple(tuple(float(x) for x in row) for row in mean)
        matrices.append(figures.ConfusionMatrix(title=title_of(spec, panel), rows=names, columns=names, values=shares))
    return matrices
