"""Estimating the time of a plan from the records of past runs."""

from __future__ import annotations

from collections.abc import Sequence

from ...results.store import Store
from ..steps import History, Step


def estimate(steps: Sequence[Step], store: Store) -> float | None:
    """Seconds on one process, or None if nothing like it has been recorded.

    A step takes the median of what equal steps took (same data set, model and attack), else the recorded seconds a unit
    of weight applied to its own weight.
    """
    if not steps or not store.exists:
        return None
    history = recorded(store)
    known, known_weight, unknown_weight = 0.0, 0.0, 0.0
    for step in steps:
        seconds = step.seconds(history)
        if seconds is None:
            unknown_weight += step.weight
        else:
            known += seconds
            known_weight += step.weight
    if unknown_weight == 0:
        return known
    if known_weight == 0:
        return None
    return known + unknown_weight * known / known_weight


def recorded(store: Store) -> History:
    """The median seconds, and the most memory, of what a store holds."""
    cells = store.cells(["dataset", "model", "attack", "seconds", "peak_memory"])
    alike = cells[cells["status"] == "ok"].groupby(["dataset", "model", "attack"])
    attacks, memory = alike["seconds"].median(), alike["peak_memory"].max().dropna().astype(int)
    trainings = store.rows("fits").groupby(["dataset", "model"])["seconds"].median()
    return History(dict(trainings.items()), dict(attacks.items()), dict(memory.items()))  # type: ignore[arg-type]
