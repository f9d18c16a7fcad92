"""The page of each cell, and the list of all."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from medrobust.api import AXES, grid_text

from .checks import told
from .contents import Contents, Evidence, SiteCell
from .numbers import METRICS, show_value
from .page import File, Page
from .plugins import plugin_id

NAMES: Final[Mapping[str, str]] = {
    "dataset": "data set",
    "train_set": "trained on",
    "craft_on": "crafted on",
    "evaluate_on": "evaluated on",
}
"""Axes that are called otherwise on pages."""
PLUGIN_AXES: Final = ("dataset", "model", "defense", "attack")
LISTED: Final = ("dataset", "model", "attack", "budget")
"""Axes that the list of all cells has in any case."""
STATE_TONES: Final = {"ok": "good", "failed": "bad", "invalid": "bad", "missing": "absent", "superseded": "unsure"}


def cell_pages(contents: Contents, plugins: Collection[str]) -> Iterator[Page | File]:
    """A page for each cell with its images, and the list with its data.

    Args:
        contents: what there is.
        plugins: ids of the plugins that have a page.
    """
    neighbours: dict[tuple[str, ...], list[SiteCell]] = {}
    for cell in contents.cells.values():
        neighbours.setdefault(_family(cell), []).append(cell)
    for cell in contents.cells.values():
        yield from _images(cell)
        yield _cell_page(cell, contents, neighbours[_family(cell)], plugins)
    axes = tuple(axis for axis in AXES if axis in LISTED or axis in contents.varying)
    yield Page(
        "cells.html",
        "cells.html",
        "All cells",
        {"columns": [NAMES.get(axis, axis) for axis in axes], "count": len(contents.cells)},
    )
    yield File("cells.js", _data(contents, axes).encode())


def _family(cell: SiteCell) -> tuple[str, ...]:
    """Cells that differ in budget and seed alone stand beside each other."""
    return (cell.model, cell.mark, *(cell.labels[axis] for axis in AXES if axis not in ("budget", "seed")))


def _images(cell: SiteCell) -> Iterator[File]:
    for number, example in enumerate(cell.examples):
        for kind in ("clean", "adversarial", "difference"):
            yield File(image_path(cell, number, kind), getattr(example, kind))


def image_path(cell: SiteCell, number: int, kind: str) -> str:
    """The file of one image of a cell."""
    return f"images/{cell.id}-{number}-{kind}.png"


def _cell_page(cell: SiteCell, contents: Contents, family: Sequence[SiteCell], plugins: Collection[str]) -> Page:
    model, row = contents.models[cell.model], cell.row
    definition = contents.telling.written(row["definition"]) if row.get("definition") else {}
    evidence = [each for each in model.evidence if _concerns(each, cell)]
    context = {
        "cell": cell,
        "model": model,
        "tone": STATE_TONES.get(cell.state, "unsure"),
        "numbers": _numbers(cell),
        "classes": [contents.telling.text(str(c)) for c in (() if row.get("classes") is None else row["classes"])],
        "evidence": told(evidence),
        "flags": [each for each in evidence if each["outcome"] == "flagged" and not cell.clean],
        "axes": [(NAMES.get(a, a), cell.labels[a], _plugin(definition, a, plugins)) for a in AXES if cell.labels[a]],
        "others": [_label(names, cell) for names in cell.names[1:]],
        "family": [other for other in family if other.id != cell.id][:40],
        "grid": grid_text(definition) if definition else "",
        "record": list(_record(cell)),
        "identity": _identity(row, contents),
        "versions": _versions(row.get("versions")),
        "store": contents.names[cell.place],
        "image": image_path,
    }
    return Page(f"cells/{cell.id}.html", "cell.html", f"{cell.title}: {model.title}", context)


def _concerns(evidence: Evidence, cell: SiteCell) -> bool:
    """Whether a check is of the cell's own network (a page of a model has one for each seed) and norm."""
    if evidence["target"] != cell.row.get("target"):
        return False
    return cell.clean or not cell.row.get("norm") or evidence["norm"] == cell.row["norm"]


def _numbers(cell: SiteCell) -> list[tuple[str, str, str, str]]:
    """Name, value, interval and note of each number."""
    if cell.numbers is None:
        return []
    found = []
    for name, value in cell.numbers.values.items():
        called = "accuracy" if cell.clean and name == "clean_accuracy" else METRICS[name]
        found.append((called, *show_value(value, name), value.reason or value.note))
    return found


def _label(names: Mapping[str, str], cell: SiteCell) -> str:
    differing = (f"{NAMES.get(a, a)} {names[a]}" for a in AXES if names[a] != cell.labels[a])
    return ", ".join(differing)


def _plugin(definition: Mapping[str, Any], axis: str, plugins: Collection[str]) -> str:
    """The page of the plugin on an axis; empty where there is none."""
    table = definition.get(axis)
    if axis not in PLUGIN_AXES or not isinstance(table, dict) or "name" not in table:
        return ""
    page = plugin_id(axis, table["name"])
    return page if page in plugins else ""


def _record(cell: SiteCell) -> Iterator[tuple[str, str]]:
    row = cell.row
    if not row:
        return
    if row.get("images") is not None:
        patients = cell.numbers.patients if cell.numbers else None
        yield "images", f"{int(row['images']):,}" + (f" of {patients:,} patients or other groups" if patients else "")
    if row.get("eps") is not None:
        yield "radius", f"{row['eps']:.6g} ({row['norm']}, pixels in [0, 1])"
    if row.get("draws") and row["draws"] > 1:
        yield "verdicts on each image", f"{int(row['draws'])}"
    if row.get("stop") == "success":
        yield "attack", "stopped at success"
    for name, column in (("forward passes", "forward_passes"), ("backward passes", "backward_passes")):
        if row.get(column) is not None:
            yield name, f"{int(row[column]):,}"
    if row.get("seconds") is not None:
        yield "time", f"{row['seconds']:.3g} s"
    if row.get("peak_memory"):
        yield "peak memory", f"{row['peak_memory'] / 1e6:,.0f} MB"
    if row.get("hardware"):
        yield "computed on", str(row["hardware"])
    if row.get("created") is not None:
        yield "computed at", f"{row['created']:%Y-%m-%d %H:%M} UTC"


def _identity(row: Mapping[str, Any], contents: Contents) -> str:
    """Everything that the identity rests on, as text."""
    if not row.get("identity"):
        return ""
    return json.dumps(contents.telling.written(row["identity"]), separators=(", ", ": "))


@lru_cache(maxsize=256)
def _versions(text: str | None) -> str:
    return ", ".join(f"{name} {version}" for name, version in json.loads(text).items()) if text else ""


def _data(contents: Contents, axes: Sequence[str]) -> str:
    """The list of cells as a script: labels once each, a row of their numbers for each cell."""
    labels: dict[str, dict[str, int]] = {axis: {} for axis in axes}
    states: dict[str, int] = {}
    rows: list[list[Any]] = []
    for cell in contents.cells.values():
        accuracy = None
        if cell.numbers is not None:
            value = cell.numbers.values.get("clean_accuracy" if cell.clean else "accuracy")
            accuracy = None if value is None or value.scalar is None else round(1000 * value.scalar)
        places = [labels[axis].setdefault(cell.labels[axis], len(labels[axis])) for axis in axes]
        rows.append([cell.id, *places, accuracy, states.setdefault(cell.state, len(states))])
    content = {
        "axes": [NAMES.get(axis, axis) for axis in axes],
        "labels": [list(labels[axis]) for axis in axes],
        "states": list(states),
        "rows": rows,
    }
    return f"const CELLS = {json.dumps(content, separators=(',', ':'))};\n"
