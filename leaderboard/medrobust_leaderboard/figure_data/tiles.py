"""The images of figures: perturbations, and examples with the decision on each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from medrobust import MedrobustError, StoreError, decide
from medrobust.api import Entry, Record

from .. import figures
from ..labels import matches
from ..report import PaperReport, cells_at
from ..selection import Selected, check_unique
from ..specs import ImagesSpec
from .combinations import classes_of, label_combinations, title_of


def image_tiles(report: PaperReport, spec: ImagesSpec) -> tuple[list[str], list[list[figures.Tile | None]]]:
    """Row labels, and rows of tiles."""
    selected = [s for s in report.rows if matches(s.row, spec.where)]
    columns = list(label_combinations(spec.columns, spec, selected))
    labels: list[str] = []
    tiles: list[list[figures.Tile | None]] = []
    for row in label_combinations(spec.rows, spec, selected):
        places = [_place(report, spec, {**row, **column}, selected) for column in columns]
        if not any(place for place in places):
            continue
        # Only the perturbation is shown: one line for any number of examples.
        for number in range(1 if spec.show == ["perturbation"] else spec.examples):
            line: list[figures.Tile | None] = []
            for position, (column, place) in enumerate(zip(columns, places, strict=True)):
                shown = place[number] if place and number < len(place) else [None] * len(spec.show)
                shown = _titled(shown, spec, column) if not tiles else shown
                repeated = spec.clean_once and position > 0
                line += [t for kind, t in zip(spec.show, shown, strict=True) if not (repeated and kind == "clean")]
            if not any(line):
                continue
            first = number == 0 or spec.per_line > 1
            labels.append(title_of(spec, row).replace(", ", "\n") if first else "")
            tiles.append(line)
    return labels, tiles


def wrapped(
    labels: Sequence[str], tiles: Sequence[list[figures.Tile | None]], per_line: int
) -> tuple[list[str], list[list[figures.Tile | None]]]:
    """Several rows to a line; their names then stand above their first image."""
    if per_line == 1 or not tiles:
        return list(labels), list(tiles)
    width = max(map(len, tiles))
    named = []
    for label, row in zip(labels, tiles, strict=True):
        heads = [label, *[""] * (len(row) - 1)]
        named.append([t and replace(t, title=head) for t, head in zip(row, heads, strict=True)])
    lines = [named[start : start + per_line] for start in range(0, len(named), per_line)]
    return [], [[tile for row in line for tile in (*row, *[None] * (width - len(row)))] for line in lines]


def _titled(
    tiles: Sequence[figures.Tile | None], spec: ImagesSpec, column: Mapping[str, str]
) -> list[figures.Tile | None]:
    heads = [_head(kind, spec, column) for kind in spec.show]
    return [tile and replace(tile, title=head) for tile, head in zip(tiles, heads, strict=True)]


def _head(kind: str, spec: ImagesSpec, column: Mapping[str, str]) -> str:
    """What stands above an image of the first row."""
    title = title_of(spec, column)
    others = [k for k in spec.show if not (spec.clean_once and k == "clean")]
    if kind not in others:
        # One clean image serves all columns.
        return kind
    return "\n".join(text for text in (title, "" if title and len(others) == 1 else kind) if text)


def _place(
    report: PaperReport, spec: ImagesSpec, key: Mapping[str, str], selected: Sequence[Selected]
) -> list[list[figures.Tile | None]] | None:
    """The tiles of one place, a list for each example; None where nothing was measured."""
    cells = [c for c in cells_at(key, selected) if c.cell]
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
    classes, positions = classes_of(entry), kept["positions"]
    broken = _broken(record, positions) if spec.broken else []
    clean, decided = (_names(record, logits, positions, classes) for logits in (record.clean, record.adversarial))
    # Images of several labels are shown in their own order: no class is asked for.
    labels = None if record.labels is None or record.labels.ndim > 1 else record.labels[positions]
    truth = [""] * len(positions) if labels is None else [classes[int(i)] for i in labels]
    target = entry.cell.goal.target if entry.cell.goal else ""
    order = [i for i in range(len(positions)) if broken[i]] if spec.broken else list(range(len(positions)))
    if spec.broken:
        # One of each class before a second of any.
        order = sorted(order, key=lambda i: sum(truth[j] == truth[i] for j in order if j < i))
    for number in sorted(order, key=lambda i: truth[i] == target):
        images = {"clean": kept["clean"][number], "adversarial": kept["adversarial"][number]}
        tiles: dict[str, figures.Tile] = {
            "clean": figures.Tile(pixels=_pixels(images["clean"]), caption=clean[number]),
            "perturbation": figures.Tile(pixels=_pixels(images["adversarial"] - images["clean"]), kind="perturbation"),
            "adversarial": figures.Tile(pixels=_pixels(images["adversarial"]), caption=decided[number]),
        }
        yield [tiles[kind] for kind in spec.show]


def _broken(record: Record, positions: Any) -> list[bool]:
    """Which of these images are decided correctly when clean and wrongly under attack; without labels, none."""
    if record.labels is None:
        return [False] * len(positions)
    right = [
        decide(torch.from_numpy(logits[positions]), multilabel=record.task == "multilabel").numpy()
        == record.labels[positions]
        for logits in (record.clean, record.adversarial)
    ]
    clean, adversarial = (each.reshape(len(positions), -1).all(axis=1) for each in right)
    return [bool(one and not other) for one, other in zip(clean, adversarial, strict=True)]


def _names(record: Record, logits: Any, positions: Any, classes: Sequence[str]) -> list[str]:
    found = decide(torch.from_numpy(logits[positions]), multilabel=record.task == "multilabel").numpy()
    if found.ndim == 1:
        return [classes[int(i)] for i in found]
    return [", ".join(c for c, yes in zip(classes, row, strict=True) if yes) or "none" for row in found]


def _pixels(image: Any) -> Any:
    """(c, h, w) as (h, w, c)."""
    return np.moveaxis(image, 0, -1)
