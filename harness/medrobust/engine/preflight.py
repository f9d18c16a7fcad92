"""What can be known of a plan's models before it is run: whether their checkpoints fit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path

import torch

from ..contracts import Model, Shape
from ..errors import MedrobustError
from ..grid.plan import Entry
from ..grid.targets import Target
from ..plugins.registered import cause_of
from ..plugins.tracebacks import show
from .context import RunContext
from .models.checkpoints import fitted
from .models.weights import input_shape


def check_checkpoints(
    entries: Iterable[Entry], done: Callable[[], Collection[str]], context: RunContext
) -> tuple[list[Entry], list[str]]:
    """Make the combinations impossible whose checkpoint does not fit, which would fail one by one otherwise.

    Args:
        entries: all combinations of a plan.
        done: gives the identities of the weights that a store has; these have been loaded before.
        context: where checkpoints are looked for.

    Returns:
        The combinations, and a note for each checkpoint whose weights had to be looked for.
    """
    entries = list(entries)
    targets = {t.fit_id: t for e in entries if e.cell for t in (e.cell.target, e.cell.source) if t and _has_file(t)}
    if not targets:
        return entries, []
    reasons: dict[str, str] = {}
    notes: dict[str, None] = {}
    answers: dict[tuple[str, Shape], tuple[str, str]] = {}
    stored = done()
    for identity, target in targets.items():
        if identity in stored:
            continue
        key = (target.model.canonical, input_shape(target))
        if key not in answers:
            answers[key] = _try(target, context)
        reasons[identity], note = answers[key]
        notes |= {note: None} if note else {}

    def reason(entry: Entry) -> str:
        both = (entry.cell.target, entry.cell.source) if entry.cell else ()
        return next((text for t in both if t and (text := reasons.get(t.fit_id, ""))), "")

    checked = [replace(e, cell=None, impossible=text, probes=()) if (text := reason(e)) else e for e in entries]
    return checked, list(notes)


def _has_file(target: Target) -> bool:
    return "checkpoint" in target.model_fields


def _try(target: Target, context: RunContext) -> tuple[str, str]:
    """Why a target's checkpoint does not fit, and a note on how it was read; either may be empty."""
    model = target.model.plugin
    assert isinstance(model, Model)
    assert isinstance(model.init, str)
    try:
        file: Path = context.source.find(model.init, what=f"checkpoint '{model.init}'")
        with torch.random.fork_rng(devices=[]):
            own = model.build(input_shape(target)).state_dict()
        found = fitted(file, own)
    except MedrobustError as error:
        return str(error), ""
    except Exception as error:  # noqa: BLE001 - a stranger's model may raise anything
        show(error)
        return f"model '{target.model_label}' cannot be built: {cause_of(error)}", ""
    return "", f"checkpoint {file}: {', '.join(found.notes)}" if found.notes else ""
