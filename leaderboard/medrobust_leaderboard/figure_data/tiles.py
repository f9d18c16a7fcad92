"""The images of figures: perturbations, and examples with the decision on each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
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
            labels.append(title_of(spec, row).replace(", ", "\n") if number == 0 else "")
            tiles.append(line)
    return labels, tiles


def _titled(
    tiles: Sequence[figures.Tile | None], spec: ImagesSpec, column: Mapping[str, str]
) -> list[figures.Tile | None]:
    heads = [_head(kind, spec, column) for kind in spec.show]
    return [
        None if tile is None else figures.Tile(pixels=tile.pixels, title=head, caption=tile.caption, kind=tile.kind)
        for tile, head in zip(tiles, heads, strict=True)
    ]


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
    clean, decided = (_names(record, logits, positions, classes) for logits in (record.clean, record.adversarial))
    # Images of several labels are shown in their own order: no class is asked for.
    labels = None if record.labels is None or record.labels.ndim > 1 else record.labels[positions]
    truth = [""] * len(positions) if labels is None else [classes[int(i)] for i in labels]
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
