"""The page of each defended model on some images, and the list of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from markupsafe import Markup

from medrobust.api import AXES

from ..render import to_html
from ..store_cells import TABLE_AXES
from .cells import NAMES, STATE_TONES
from .checks import told
from .contents import Contents, SiteCell, SiteModel
from .page import Page, ToCells


def model_pages(contents: Contents) -> Iterator[Page]:
    """A page for each model, and the list."""
    entries = [(model, _clean(model, contents), _states(model, contents)) for model in contents.models.values()]
    yield Page("models.html", "models.html", "Models", {"entries": entries})
    for model in contents.models.values():
        yield _model_page(model, contents)


def _model_page(model: SiteModel, contents: Contents) -> Page:
    cells = [contents.cells[id_] for id_ in model.cells]
    axes = [a for a in AXES if a not in TABLE_AXES and len({c.labels[a] for c in cells} - {""}) > 1]
    shown = [a for a in AXES if a in ("attack", "budget") or a in axes]
    table = None if model.table is None else Markup(to_html(model.table, ToCells("../", contents.cells)))
    context = {
        "model": model,
        "labels": [(NAMES.get(axis, axis), model.labels[axis]) for axis in TABLE_AXES],
        "table": table,
        "evidence": told(model.evidence),
        "axes": [(axis, NAMES.get(axis, axis)) for axis in shown],
        "cells": [(cell, *accuracy_of(cell), STATE_TONES.get(cell.state, "unsure")) for cell in cells],
        "states": _states(model, contents),
    }
    return Page(f"models/{model.id}.html", "model.html", model.title, context)


def accuracy_of(cell: SiteCell) -> tuple[float | None, str]:
    """Accuracy under the cell's attack, as a number and in words."""
    value = cell.numbers.values.get("clean_accuracy" if cell.clean else "accuracy") if cell.numbers else None
    number = None if value is None else value.scalar
    return (None, "–") if number is None else (number, f"{100 * number:.1f} %")


def _clean(model: SiteModel, contents: Contents) -> tuple[float | None, str]:
    """Accuracy without an attack, the mean over seeds."""
    cells = (contents.cells[id_] for id_ in model.cells)
    numbers = [n for cell in cells if cell.clean and not cell.superseded and (n := accuracy_of(cell)[0]) is not None]
    if not numbers:
        return None, "–"
    mean = sum(numbers) / len(numbers)
    return mean, f"{100 * mean:.1f} %"


def _states(model: SiteModel, contents: Contents) -> str:
    """Such as "40 ok, 2 failed"."""
    counts = Counter(contents.cells[id_].state for id_ in model.cells)
    return ", ".join(f"{counts[state]:,} {state}" for state in STATE_TONES if counts[state])
