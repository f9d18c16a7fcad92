"""Drawing the figures of a paper from a plan and a store."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from medrobust import MedrobustError, StoreError, decide
from medrobust.api import Entry, Record, Value

from . import figures
from .labels import CLEAN, is_clean, matches
from .report import PaperReport, at, labels_of
from .selection import Selected, check_unique, rule_for
from .specs import BarsSpec, ConfusionSpec, CurvesSpec, FigureSpec, ImagesSpec, View

Key = tuple[str, ...]


@dataclass(frozen=True)
class Drawn:
    """A figure as it was written, or why there is none."""

    spec: FigureSpec
    saved: figures.SavedFigure | None
    absent: str = ""


def draw_figures(report: PaperReport, folder: Path) -> list[Drawn]:
    """Draw every figure of a paper into `folder` as PNG and SVG beside its CSV.

    A figure that stands there and shows the same is left as it is: drawing takes longer than everything else.
    """
    file = folder / KEYS
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    keys: dict[str, str] = {}
    drawn = []
    for spec in report.paper.figures:
        content = _content(report, spec)
        if content is None:
            drawn.append(Drawn(spec, None, "no records of what it shows"))
            continue
        stem, keys[spec.id] = folder / spec.id, content.key(spec)
        saved = figures.SavedFigure.at(stem)
        if known.get(spec.id) != keys[spec.id] or not saved.exists:
            saved = figures.save(content.draw(), content.data, stem)
        drawn.append(Drawn(spec, saved))
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(keys, indent=1) + "\n", encoding="utf-8")
    return drawn


KEYS = "figures.json"
"""What each figure of a folder shows, as a hash."""


@dataclass(frozen=True)
class _Content:
    """What a figure shows, and how it is drawn."""

    data: list[dict[str, object]]
    draw: Callable[[], Figure]
    pixels: bytes = b""

    def key(self, spec: FigureSpec) -> str:
        """Another for other numbers, images, specifications or code."""
        told = [repr(spec), json.dumps(self.data, default=str), _code()]
        return hashlib.sha256("\0".join(told).encode() + self.pixels).hexdigest()[:20]


@cache
def _code() -> str:
    """Hash of the code that draws."""
    files = [*sorted(Path(figures.__file__).parent.glob("*.py")), Path(__file__)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _content(report: PaperReport, spec: FigureSpec) -> _Content | None:
    if isinstance(spec, CurvesSpec):
        panels = curve_panels(report, spec)
        labels: dict[str, Any] = {"x_label": spec.x_label, "y_label": spec.y_label, "x_scale": spec.x_scale}
        draw = partial(figures.curves, panels, **labels, columns=spec.columns)
        return _Content(figures.curves_data(panels), draw) if panels else None
    if isinstance(spec, BarsSpec):
        bars = bar_panels(report, spec)
        draw = partial(figures.bars, bars, y_label=spec.y_label, control_label=spec.control_label, columns=spec.columns)
        return _Content(figures.bars_data(bars), draw) if bars else None
    if isinstance(spec, ConfusionSpec):
        matrices = confusion_matrices(report, spec)
        rows = "true" if spec.metric == "confusion_matrix" else "decided when clean"
        draw = partial(figures.confusion, matrices, row_label=rows, column_label="predicted", columns=spec.columns)
        return _Content(figures.confusion_data(matrices), draw) if matrices else None
    row_labels, tiles = image_tiles(report, spec)
    pixels = b"".join(tile.pixels.tobytes() for row in tiles for tile in row if tile is not None)
    draw = partial(figures.images, tiles, row_labels=row_labels)
    return _Content(figures.images_data(tiles), draw, pixels) if tiles else None


# Numbers -------------------------------------------------------------------------------------------------------------


def curve_panels(report: PaperReport, spec: CurvesSpec) -> list[figures.CurvePanel]:
    """The panels of a figure of curves; what has no attack (or no defense) stands at 0 of every curve."""
    selected = [s for s in report.rows if matches(s.row, spec.where)]
    panels = []
    for panel in _keys(spec.panels, spec, selected):
        if is_clean(panel):
            continue
        series = [
            _series(report, spec, panel, key, selected)
            for key in _keys(spec.series, spec, selected)
            if not is_clean(key)
        ]
        found = tuple(s for s in series if s is not None)
        if found:
            panels.append(figures.CurvePanel(title=_title(spec, panel), series=found))
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
    for each in (*_unattacked(spec.x, {**panel, **key}, measured), *at({**panel, **key}, measured)):
        if (x := _abscissa(spec.x, each)) is not None:
            places.setdefault(x, []).append(each)
    points: list[tuple[float, Value | None]] = []
    for x, cells in sorted(places.items()):
        varying = (*spec.panels, *spec.series, spec.x.partition(".")[0], "budget", *spec.mean_over)
        check_unique(cells, varying, f"{report.paper.name} {spec.id}")
        rule = rule_for(cells[0].row, spec.value, key.get("value"))
        points.append((x, report.numbers.combined(cells, rule.metric) if rule else None))
    if not any(value is not None and value.scalar is not None for _, value in points):
        return None
    control = bool(spec.control) and all(key.get(axis) == label for axis, label in spec.control.items())
    return figures.Series(
        label=_title(spec, key),
        x=tuple(x for x, _ in points),
        y=tuple(v.scalar if v else None for _, v in points),
        low=tuple(v.interval[0] if v and v.interval else None for _, v in points),
        high=tuple(v.interval[1] if v and v.interval else None for _, v in points),
        style="control" if control else "line",
        like=_partner(spec, key, selected) if control else "",
    )


def _unattacked(x: str, key: Mapping[str, str], selected: Sequence[Selected]) -> list[Selected]:
    """The clean records with which the curve of one attack begins, if they are among those selected."""
    if "attack" not in key or x.startswith("defense."):
        return []
    others = {axis: label for axis, label in key.items() if axis != "attack"}
    return at(others, [s for s in selected if is_clean(s.row)])


def _abscissa(x: str, selected: Selected) -> float | None:
    """Where an entry stands on the x axis; what is not attacked, or not hardened, stands at 0."""
    axis, dot, _ = x.partition(".")
    if selected.row.get(axis if dot else "attack") == CLEAN:
        return 0.0
    try:
        return float(selected.row.get(x, ""))
    except ValueError:
        return None


def _partner(spec: CurvesSpec, key: Mapping[str, str], selected: Sequence[Selected]) -> str:
    """The label of the series that a control belongs to: the first that differs in the control's labels alone."""
    for other in _keys(spec.series, spec, selected):
        same = all(other[a] == v for a, v in key.items() if a not in spec.control)
        if same and any(other[a] != spec.control[a] for a in spec.control) and not is_clean(other):
            return _title(spec, other)
    return ""


def bar_panels(report: PaperReport, spec: BarsSpec) -> list[figures.BarPanel]:
    """The panels of a figure of bars."""
    selected = [s for s in report.rows if matches(s.row, spec.where)]
    groups = list(_keys(spec.groups, spec, selected))
    panels = []
    for panel in _keys(spec.panels, spec, selected):
        series = []
        for key in _keys(spec.series, spec, selected):
            found = [_bar(report, spec, {**panel, **group, **key}, selected) for group in groups]
            values, controls = zip(*found, strict=True)
            if any(value is not None for value in values):
                series.append(
                    figures.BarSeries(
                        label=_title(spec, key),
                        values=tuple(v.scalar if v else None for v in values),
                        low=tuple(v.interval[0] if v and v.interval else None for v in values),
                        high=tuple(v.interval[1] if v and v.interval else None for v in values),
                        control=tuple(c.scalar if c else None for c in controls) if spec.control else (),
                    )
                )
        if series:
            titles = tuple(_title(spec, group) for group in groups)
            panels.append(figures.BarPanel(title=_title(spec, panel), groups=titles, series=tuple(series)))
    return panels


def _bar(
    report: PaperReport, spec: BarsSpec, key: Mapping[str, str], selected: Sequence[Selected]
) -> tuple[Value | None, Value | None]:
    cells = at(key, selected)
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
    selected = [s for s in report.rows if matches(s.row, spec.where)]
    matrices = []
    for panel in _keys(spec.panels, spec, selected):
        cells = at(panel, selected)
        values = [report.numbers.get(c.cell, spec.metric) for c in cells if c.cell]
        found = [v for v in values if v is not None and v.defined]
        if not cells or len(found) < len(cells):
            continue
        check_unique(cells, (*spec.panels, *spec.mean_over), f"{report.paper.name} {spec.id}")
        mean = np.mean([np.nan_to_num(np.asarray(v.value)) for v in found], axis=0)
        names = tuple(_entry_classes(cells[0].entry))
        shares = tuple(tuple(float(x) for x in row) for row in mean)
        matrices.append(figures.ConfusionMatrix(title=_title(spec, panel), rows=names, columns=names, values=shares))
    return matrices


# Images --------------------------------------------------------------------------------------------------------------


def image_tiles(report: PaperReport, spec: ImagesSpec) -> tuple[list[str], list[list[figures.Tile | None]]]:
    """Row labels, and rows of tiles."""
    selected = [s for s in report.rows if matches(s.row, spec.where)]
    columns = list(_keys(spec.columns, spec, selected))
    labels: list[str] = []
    tiles: list[list[figures.Tile | None]] = []
    for row in _keys(spec.rows, spec, selected):
        places = [_place(report, spec, {**row, **column}, selected) for column in columns]
        if not any(place for place in places):
            continue
        # Only the perturbation is shown: one line, whatever the number of examples.
        for number in range(1 if spec.show == ["perturbation"] else spec.examples):
            line: list[figures.Tile | None] = []
            for column, place in zip(columns, places, strict=True):
                shown = place[number] if place and number < len(place) else [None] * len(spec.show)
                line += _titled(shown, spec, column) if not tiles else shown
            labels.append(_title(spec, row).replace(", ", "\n") if number == 0 else "")
            tiles.append(line)
    return labels, tiles


def _titled(
    tiles: Sequence[figures.Tile | None], spec: ImagesSpec, column: Mapping[str, str]
) -> list[figures.Tile | None]:
    heads = ["\n".join(t for t in (_title(spec, column), kind) if t) for kind in spec.show]
    if len(spec.show) == 1 and column:
        heads = [_title(spec, column)]
    return [
        None if tile is None else figures.Tile(pixels=tile.pixels, title=head, caption=tile.caption, kind=tile.kind)
        for tile, head in zip(tiles, heads, strict=True)
    ]


def _place(
    report: PaperReport, spec: ImagesSpec, key: Mapping[str, str], selected: Sequence[Selected]
) -> list[list[figures.Tile | None]] | None:
    """The tiles of one place, a list for each example; None where nothing was measured."""
    cells = [c for c in at(key, selected) if c.cell]
    if not cells:
        return None
    first = min(cells, key=lambda c: int(c.row.get("seed", "0") or 0))
    same = [c for c in cells if c.row.get("seed") == first.row.get("seed")]
    check_unique(same, (*spec.rows, *spec.columns), f"{report.paper.name} {spec.id}")
    try:
        if spec.show == ["perturbation"]:
            return [[_perturbation_tile(report, first.entry)]]
        return list(itertools.islice(_examples(report, spec, first.entry), spec.examples))
    except StoreError:
        # Not measured, or not yet: the figure shows the other places.
        return None


def _perturbation_tile(report: PaperReport, entry: Entry) -> figures.Tile:
    assert entry.cell is not None
    kept = report.store.load_tensors(report.store.artifact(entry.cell.perturbation_id))
    return figures.Tile(pixels=_pixels(kept["perturbation"].numpy()), kind="perturbation")


def _examples(report: PaperReport, spec: ImagesSpec, entry: Entry) -> Iterator[list[figures.Tile | None]]:
    """Tiles of the examples of one cell, those first whose class is not the one that was asked for."""
    assert entry.cell is not None
    probe = next((p for p in entry.probes if p.offer.name == "examples"), None)
    if probe is None:
        raise MedrobustError(f"{report.paper.name} {spec.id}: its cells have no probe 'examples'")
    kept = {
        k: t.numpy() for k, t in report.store.load_tensors(report.store.artifact(entry.cell.probe_id(probe))).items()
    }
    record = next((r for _, r in report.store.records([entry.cell.id])), None)
    if record is None:
        raise StoreError("no record")
    classes, positions = _entry_classes(entry), kept["positions"]
    clean, decided = (_names(record, logits, positions, classes) for logits in (record.clean, record.adversarial))
    truth = [""] * len(positions) if record.labels is None else [classes[int(i)] for i in record.labels[positions]]
    target = entry.cell.goal.target if entry.cell.goal else ""
    for number in sorted(range(len(positions)), key=lambda i: truth[i] == target):
        images = {"clean": kept["clean"][number], "adversarial": kept["adversarial"][number]}
        tiles: dict[str, figures.Tile] = {
            "clean": figures.Tile(pixels=_pixels(images["clean"]), caption=clean[number]),
            "perturbation": figures.Tile(pixels=_pixels(images["adversarial"] - images["clean"]), kind="perturbation"),
            "adversarial": figures.Tile(pixels=_pixels(images["adversarial"]), caption=decided[number]),
        }
        yield [tiles[kind] for kind in spec.show]


def _names(record: Record, logits: Any, positions: Any, classes: Sequence[str]) -> list[str]:
    found = decide(torch.from_numpy(logits[positions]), multilabel=record.task == "multilabel").numpy()
    if found.ndim == 1:
        return [classes[int(i)] for i in found]
    return [", ".join(c for c, yes in zip(classes, row, strict=True) if yes) or "none" for row in found]


def _pixels(image: Any) -> Any:
    """(c, h, w) as (h, w, c)."""
    return np.moveaxis(image, 0, -1)


# Labels --------------------------------------------------------------------------------------------------------------


def _keys(axes: Sequence[str], spec: FigureSpec, selected: Sequence[Selected]) -> list[dict[str, str]]:
    """Every combination of the labels of some axes; one without labels if there are no axes."""
    rules = () if isinstance(spec, ConfusionSpec | ImagesSpec) else spec.value
    labels = [labels_of(axis, spec.where, selected, rules) for axis in axes]
    return [dict(zip(axes, combination, strict=True)) for combination in itertools.product(*labels)]


def _title(spec: View, key: Mapping[str, str]) -> str:
    """How a combination of labels is shown; a name for the whole (`all`, labels joined by a comma) comes first."""
    plain = ", ".join(key.values())
    named = spec.names.get("all", {}).get(plain)
    return named if named is not None else ", ".join(t for a, v in key.items() if (t := spec.shown(a, v)))


def _entry_classes(entry: Entry) -> tuple[str, ...]:
    assert entry.cell is not None
    return entry.cell.target.info.classes
