"""Estimating the time of a plan from the records of past runs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .engine.progress import weight
from .grid.plan import CraftStep, FitStep, Step
from .results.store import Store


def estimate(steps: Sequence[Step], store: Store) -> float | None:
    """Seconds on one process, or None if nothing like it has been recorded.

    A step takes the median of what equal steps took (same data set, model and attack), else the recorded seconds a unit
    of weight applied to its own weight.
    """
    if not steps or not store.exists:
        return None
    cells = store.cells(["dataset", "model", "attack", "seconds"])
    cells = cells[cells["status"] == "ok"]
    fits = store.rows("fits")
    if cells.empty and fits.empty:
        return None
    attacks = cells.groupby(["dataset", "model", "attack"])["seconds"].median()
    trainings = fits.groupby(["dataset", "model"])["seconds"].median() if len(fits) else pd.Series(dtype=float)
    known, known_weight, unknown_weight = 0.0, 0.0, 0.0
    for step in steps:
        seconds = _recorded(step, attacks, trainings)
        if seconds is None:
            unknown_weight += weight(step)
        else:
            known += seconds
            known_weight += weight(step)
    if unknown_weight == 0:
        return known
    if known_weight == 0:
        return None
    return known + unknown_weight * known / known_weight


def _recorded(step: Step, attacks: pd.Series[float], trainings: pd.Series[float]) -> float | None:
    if isinstance(step, FitStep):
        key = (step.target.train.dataset.name, step.target.model.name)
        return float(trainings[key]) if key in trainings.index else None
    if not isinstance(step, CraftStep):
        # Perturbations, hardening and probes leave no time of their own that the next one could be told by.
        return None
    total = 0.0
    for output in step.outputs:
        axes = output.cell.axes()
        cell_key = (axes["dataset"], axes["model"], axes["attack"])
        if cell_key not in attacks.index:
            return None
        total += float(attacks[cell_key])
    return total
