"""What records say of a model: the share of decisions that stay, the smallest changes, and where decisions go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..contracts import BudgetSpec
from ..grid.cells import Cell
from ..results.outcomes import correct, decisions, same
from ..results.record import Record
from ..results.statistics.rates import rate
from .judgement import Result, Share, Smallest
from .trials import Trial


def share_of(hits: NDArray[np.bool_], groups: NDArray[np.str_] | None) -> Share:
    """A rate with its interval; 0 of no images."""
    found = rate(hits, groups)
    low, high = found.interval or (None, None)
    return Share(found.scalar or 0.0, low, high, found.n)


def clean_share(record: Record) -> Share | None:
    """The share of clean images decided rightly; None without labels."""
    return None if record.labels is None else share_of(correct(record, record.clean), record.groups)


def chance_of(record: Record) -> float | None:
    """What always giving the most frequent answer reaches; None without labels."""
    if record.labels is None:
        return None
    answers = record.labels if record.labels.ndim == 2 else record.labels[:, None]
    return float(np.unique(answers, axis=0, return_counts=True)[1].max() / len(answers))


def counted_and_staying(record: Record) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which images count (those right when clean; without labels all), and whose decision stays (n,)."""
    if record.labels is not None:
        right = correct(record, record.clean)
        return right, right & correct(record, record.adversarial)
    stays = same(decisions(record, record.clean), decisions(record, record.adversarial))
    return np.ones(len(stays), dtype=bool), stays


def result_of(trial: Trial, budget: str, cell: Cell, record: Record) -> Result:
    """What an attack at a budget left."""
    spec = BudgetSpec.parse(budget)
    counted, stays = counted_and_staying(record)
    groups = None if record.groups is None else record.groups[counted]
    eps = float(spec.eps.value) if spec.eps is not None and spec.eps.unit == "pixel01" else float("nan")
    kept = share_of(stays[counted], groups)
    return Result(trial.id, trial.title, trial.kind, budget, spec.norm, eps, kept, stays, counted)


def smallest_of(trial: Trial, cell: Cell, record: Record) -> Smallest | None:
    """The smallest changes that an attack without a radius has found."""
    counted, stays = counted_and_staying(record)
    if not counted.any():
        return None
    norm = str(BudgetSpec.parse(trial.budgets[0]).norm)
    lengths = np.where(stays, np.inf, record.linf if norm == "linf" else record.l2)[counted]
    groups = None if record.groups is None else record.groups[counted]
    quartiles = tuple(float(np.sort(lengths)[int(q * (len(lengths) - 1))]) for q in (0.25, 0.5, 0.75))
    channels, height, width = cell.target.shape or (cell.target.info.channels, *cell.target.info.size)
    values = 1 if norm == "linf" else channels * height * width
    found = share_of(np.isfinite(lengths), groups)
    return Smallest(trial.title, norm, found, quartiles, quartiles[1] / values**0.5 * 255)  # type: ignore[arg-type]


def worst(results: Sequence[Result], kinds: Sequence[str]) -> list[tuple[float, Share, list[Result]]]:
    """By radius in linf, the share of images that stay under every attack of some kinds, and these attacks."""
    found = []
    for eps in sorted({r.eps for r in results if r.kind in kinds and r.norm == "linf" and r.eps > 0}):
        here = [r for r in results if r.kind in kinds and r.norm == "linf" and r.eps == eps]
        here = [r for r in here if r.counted.shape == here[0].counted.shape]
        counted = here[0].counted
        stays = np.all([r.stays for r in here], axis=0)[counted]
        found.append((eps, share_of(stays, None), here))
    return found


def moves_of(record: Record, classes: Sequence[str]) -> dict[tuple[str, str], int]:
    """From which class to which decisions move, how many; empty of several labels an image."""
    if record.task == "multilabel":
        return {}
    before, after = (decisions(record, logits) for logits in (record.clean, record.adversarial))
    counted, stays = counted_and_staying(record)
    moved = counted & ~stays
    pairs = Counter(zip(before[moved].tolist(), after[moved].tolist(), strict=True))
    return {(classes[a], classes[b]): count for (a, b), count in pairs.most_common() if a != b}
