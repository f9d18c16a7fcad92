"""The images of figures: perturbations, examples with the decision on each, and maps that probes made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medrobust import StoreError

from .. import figures
from ..figure_specs import EXAMPLE, EXAMPLES, SHOW, ImagesSpec
from ..report import PaperReport
from .combinations import label_combinations, title_of
from .probed import Arrays, Probed, one_of_each_class_first, probed_cell, rows_with_probes

Tiles = list[list[figures.Tile | None]]
Shown = dict[str, figures.Tile]


def image_tiles(report: PaperReport, spec: ImagesSpec) -> tuple[list[str], Tiles]:
    """Row labels, and rows of tiles."""
    selected = rows_with_probes(report, spec)

    @cache
    def place(items: tuple[tuple[str, str], ...]) -> list[Shown] | None:
        found = probed_cell(report, spec.id, dict(items), selected, (*spec.rows, *spec.columns))
        try:
            return None if found is None else _examples(found, spec)
        except StoreError:
            # Not measured, or not yet: the figure shows the other places.
            return None

    columns = _columns(spec, label_combinations(spec.column_axes, spec, selected))
    labels: list[str] = []
    tiles: Tiles = []
    for row in label_combinations(spec.row_axes, spec, selected):
        line = [_tile(place, {**row, **column}) for column in columns]
        cell_is_there = any(place(_labels_only({**row, **column})) for column in columns)
        # Where nothing but the perturbation is shown, there is one line for any number of examples.
        if cell_is_there and (any(line) or (row.get(EXAMPLE, "0") == "0" and not spec.broken)):
            if not tiles:
                line = [t and replace(t, title=_head(spec, c)) for t, c in zip(line, columns, strict=True)]
            labels.append(_row_label(spec, row))
            tiles.append(line)
    return labels, tiles


def wrapped(labels: Sequence[str], tiles: Tiles, per_line: int) -> tuple[list[str], Tiles]:
    """Several rows to a line; their names then stand above their first image."""
    if per_line == 1 or not tiles:
        return list(labels), list(tiles)
    width = max(map(len, tiles))
    named: Tiles = []
    for label, row in zip(labels, tiles, strict=True):
        heads = [label, *[""] * (len(row) - 1)]
        named.append([t and replace(t, title=head) for t, head in zip(row, heads, strict=True)])
    lines = [named[start : start + per_line] for start in range(0, len(named), per_line)]
    return [], [[tile for row in line for tile in (*row, *[None] * (width - len(row)))] for line in lines]


def _labels_only(key: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((axis, label) for axis, label in key.items() if axis not in (SHOW, EXAMPLE))


def _tile(
    place: Callable[[tuple[tuple[str, str], ...]], list[Shown] | None], key: Mapping[str, str]
) -> figures.Tile | None:
    examples, number = place(_labels_only(key)), int(key[EXAMPLE])
    return examples[number][key[SHOW]] if examples and number < len(examples) else None


def _columns(spec: ImagesSpec, columns: list[dict[str, str]]) -> list[dict[str, str]]:
    """The columns, with the clean image in the first place alone where one serves all."""
    clean = [column for column in columns if column.get(SHOW) == "clean"]
    return [c for c in columns if not (spec.clean_once and c in clean[1:])]


def _head(spec: ImagesSpec, column: Mapping[str, str]) -> str:
    """What stands above a column."""
    title, kind = title_of(spec, dict(_labels_only(column))), column.get(SHOW, "")
    shown = spec.shown(SHOW, kind)
    others = [each for each in spec.show if not (spec.clean_once and each == "clean")]
    if kind and kind not in others:
        # One clean image serves all columns.
        return shown
    return "\n".join(text for text in (title, "" if title and len(others) == 1 else shown) if text)


def _row_label(spec: ImagesSpec, row: Mapping[str, str]) -> str:
    if row.get(EXAMPLE, "0") != "0" and spec.per_line == 1:
        return ""
    title = title_of(spec, dict(_labels_only(row))).replace(", ", "\n")
    return "\n".join(text for text in (title, spec.shown(SHOW, row[SHOW]) if SHOW in row else "") if text)


def _examples(found: Probed, spec: ImagesSpec) -> list[Shown]:
    """The tiles of each example of one cell, by what they show."""
    if spec.show == ["perturbation"]:
        return [{"perturbation": _perturbation_tile(found)}]
    positions, arrays = found.common(spec.probes)
    truth = found.truth(positions)
    decided = {"clean": found.decided(found.record.clean, positions)}
    decided["adversarial"] = found.decided(found.record.adversarial, positions)
    order = found.order(positions, right_first=spec.right_first)
    if spec.broken:
        order = one_of_each_class_first(found.broken(positions, order), truth)
    most = spec.of_each_class or len(order)
    chosen = [i for n, i in enumerate(order) if sum(truth[j] == truth[i] for j in order[:n]) < most][: spec.examples]

    def caption(number: int, kind: str) -> dict[str, Any]:
        """What stands below an image or map, and whether it is right."""
        if spec.below == "nothing" or kind not in decided:
            return {}
        if spec.below == "class":
            return {"caption": truth[number]}
        right = truth[number] == decided[kind][number] if spec.mark and truth[number] else None
        return {"caption": decided[kind][number], "right": right}

    def tile(number: int, shown: str) -> figures.Tile:
        probe, _, kind = shown.rpartition(".")
        images = {key: values[number] for key, values in arrays.get(EXAMPLES, {}).items()}
        if probe:
            # Images of one probe's maps are compared, so that those shown have one scale.
            kinds = [k for k in ("clean", "adversarial") if f"{probe}.{k}" in spec.show]
            measured = {key: arrays[probe][key][number] for key in ("clean", "adversarial")}
            under = as_pixels(images[kind]) if spec.overlay and kind in images else None
            if under is not None:
                # Below a map that is laid over its image stands the decision, as below the image.
                own = figures.Tile(pixels=measured[kind], kind="map", under=under, **caption(number, kind))
                return replace(own, limits=spec.limits.get(probe, (0.0, float(measured[kind].max()))))
            scale = _scale(spec.limits.get(probe), [measured[k] for k in kinds])
            return _map_tile(measured, kind, scale, told=spec.below != "nothing")
        if kind == "perturbation":
            return figures.Tile(pixels=as_pixels(images["adversarial"] - images["clean"]), kind="perturbation")
        return figures.Tile(pixels=as_pixels(images[kind]), **caption(number, kind))

    return [{shown: tile(number, shown) for shown in spec.show} for number in chosen]


def _scale(limits: tuple[float, float] | None, maps: Sequence[NDArray[Any]]) -> tuple[float, float] | None:
    """The ends of the colour scale of maps of one image; None if no map is shown, but what changes in it."""
    if limits is not None or not maps:
        return limits
    return float(min(each.min() for each in maps)), float(max(each.max() for each in maps))


def _map_tile(measured: Arrays, kind: str, scale: tuple[float, float] | None, *, told: bool) -> figures.Tile:
    """One map (h, w) of a probe, or what the attack changed in it, with the ends of its scale below it."""
    if kind == "change":
        change = measured["adversarial"] - measured["clean"]
        most = float(np.abs(change).max())
        return figures.Tile(pixels=change, kind="change", limits=(-most, most), caption=f"±{most:.2g}" if told else "")
    assert scale is not None
    caption = f"{scale[0]:.2g} to {scale[1]:.2g}" if told else ""
    return figures.Tile(pixels=measured[kind], kind="map", limits=scale, caption=caption)


def _perturbation_tile(found: Probed) -> figures.Tile:
    assert found.entry.cell is not None
    kept = found.store.load_tensors(found.store.artifact(found.entry.cell.perturbation_id))
    return figures.Tile(pixels=as_pixels(kept["perturbation"].numpy()), kind="perturbation")


def as_pixels(image: Any) -> Any:
    """(c, h, w) as (h, w, c)."""
    return np.moveaxis(image, 0, -1)
