"""How sure a ranking is: intervals of ranks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .rates import CONFIDENCE, Groups, clusters
from .value import Floats

SAME = 1e-12
"""Difference of two rates that is rounding."""


def ranks(values: Sequence[float]) -> list[int]:
    """Ranks of numbers, 1 for the largest; equal numbers share the best rank of theirs (1, 2, 2, 4)."""
    return [1 + sum(other > value + SAME for other in values) for value in values]


def rank_intervals(
    hits: Sequence[Sequence[Floats]], groups: Groups | None = None, *, resamples: int = 1000, seed: int = 0
) -> list[tuple[int, int] | None]:
    """95 % intervals of the ranks of several contestants by a rate over the same images, the largest first.

    Percentiles of the rank over resamples of the images, or of patients where they are known, and of the repetitions of
    each contestant (Hall and Miller 2009, Ann Stat 37:3929, on the bootstrap of ranks). Every contestant has the same
    images in a resample, as their numbers move together. Deterministic in `seed`.

    Args:
        hits: for each contestant its repetitions (seeds), each (n,) in one order of images: whether an image counts, or
            the share of draws in which it does.
        groups: the groups of these images (n,), or None where unknown.

    Returns:
        The lowest and highest rank of each; None where all images belong to one group.
    """
    if not hits:
        return []
    n = len(hits[0][0])
    codes, count = clusters(groups) if groups is not None else (np.arange(n), n)
    if count < 2:
        return [None] * len(hits)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)
    totals = weights @ np.bincount(codes, minlength=count)
    means = np.empty((resamples, len(hits)))
    for place, repetitions in enumerate(hits):
        sums = np.stack([np.bincount(codes, weights=each, minlength=count) for each in repetitions], axis=1)
        rates = weights @ sums / totals[:, None]
        drawn = rng.integers(0, len(repetitions), rates.shape)
        means[:, place] = np.take_along_axis(rates, drawn, axis=1).mean(axis=1)
    return [_interval(1 + (means > means[:, [place]] + SAME).sum(axis=1)) for place in range(len(hits))]


def _interval(found: NDArray[np.int64]) -> tuple[int, int]:
    tail = (1 - CONFIDENCE) / 2
    low = np.quantile(found, tail, method="lower")
    high = np.quantile(found, 1 - tail, method="higher")
    return int(low), int(high)
