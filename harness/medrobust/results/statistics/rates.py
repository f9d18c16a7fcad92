"""Intervals of rates and means, with images of one group (patient) counted as the dependent observations they are.

All in closed form, so that thousands of cells take seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .value import Floats, Value, undefined

CONFIDENCE = 0.95
Z = float(special.ndtri(0.5 + CONFIDENCE / 2))
Groups = NDArray[np.str_]


def wilson(rate: float, size: float) -> tuple[float, float]:
    """Wilson score interval of a rate seen in `size` observations (Wilson 1927, JASA 22:209).

    In closed form because `size` is not a whole number once a design effect enters;
    `scipy.stats.binomtest` gives the same for whole numbers.
    """
    centre = (rate + Z**2 / (2 * size)) / (1 + Z**2 / size)
    half = Z / (1 + Z**2 / size) * float(np.sqrt(rate * (1 - rate) / size + Z**2 / (4 * size**2)))
    # The rate lies inside by construction; rounding may put it a hair outside at 0 and 1.
    return max(0.0, min(rate, centre - half)), min(1.0, max(rate, centre + half))


def clusters(groups: Groups) -> tuple[NDArray[np.intp], int]:
    """Groups as codes 0 ... k - 1, and k."""
    names, codes = np.unique(groups, return_inverse=True)
    return codes, len(names)


def group_count(groups: Groups | None) -> int | None:
    """How many groups, or None where unknown."""
    return None if groups is None else clusters(groups)[1]


class Design(NamedTuple):
    """What grouping does to the precision of an estimate."""

    factor: float | None
    """Effective over actual number of images, at most 1; None where a single group leaves no information."""
    groups: int | None
    """Number of groups, or None where unknown."""


def design(influence: Floats, groups: Groups | None) -> Design:
    """Shrinkage of the sample size from the images' influence on an estimate (n,), which sums to about zero.

    The design effect is the linearised between-group variance over the variance of independent images (Kish 1965,
    Survey Sampling), never under 1; the normal quantile in the interval is made a t quantile with groups - 1 degrees
    of freedom (Korn and Graubard 1998, Survey Methodology 24:193). Where no image differs (a rate of 0 or 1) the data
    say nothing about dependence, and a group counts as if its images were one: sum of squared group sizes over n.
    """
    n = len(influence)
    if groups is None:
        return Design(1.0, None)
    codes, count = clusters(groups)
    if count == n:
        return Design(1.0, count)
    if count == 1:
        return Design(None, 1)
    independent = float(influence @ influence)
    if independent > 0:
        sums = np.bincount(codes, weights=influence, minlength=count)
        effect = max(1.0, count / (count - 1) * float(sums @ sums) / independent)
    else:
        sizes = np.bincount(codes, minlength=count)
        effect = float(sizes @ sizes) / n
    return Design((Z / t_quantile(count - 1)) ** 2 / effect, count)


def t_quantile(degrees: int) -> float:
    """Two-sided 95 % quantile of Student's t."""
    return float(special.stdtrit(degrees, 0.5 + CONFIDENCE / 2))


def rate(hits: NDArray[np.bool_], groups: Groups | None = None, *, empty: str = "no images") -> Value:
    """Share of `hits` (n,) with a Wilson interval, widened for grouped images; undefined, because `empty`, for none.

    The design-effect Wilson interval is the one that keeps its coverage in clustered samples (Franco, Little, Louis
    and Slud 2019, J Surv Stat Methodol 7:334).
    """
    n = len(hits)
    if n == 0:
        return undefined(empty)
    share = float(np.count_nonzero(hits)) / n
    factor, count = design(hits.astype(np.float64) - share, groups)
    if factor is None:
        return Value(share, n=n, groups=count, note="no interval: all images belong to one group")
    low, high = wilson(share, n * factor)
    return Value(share, low, high, n, count)


def mean_of_rates(
    hits: NDArray[np.bool_], strata: NDArray[np.intp], names: Sequence[str], groups: Groups | None = None
) -> Value:
    """Unweighted mean of the rates of `hits` (n,) in strata 0 ... len(names) - 1; undefined where a stratum is empty.

    The interval combines the strata's Wilson limits by the method of variance estimates recovery (Zou and Donner 2008,
    Stat Med 27:1693), all with the design effect of the mean, so that patients who fall in two strata count as such.
    """
    sizes = np.bincount(strata, minlength=len(names))
    if missing := [name for name, size in zip(names, sizes, strict=True) if size == 0]:
        return undefined("no images of " + ", ".join(missing), n=len(hits), groups=group_count(groups))
    rates = np.bincount(strata, weights=hits, minlength=len(names)) / sizes
    value = float(rates.mean())
    factor, count = design((hits - rates[strata]) / sizes[strata], groups)
    if factor is None:
        return Value(value, n=len(hits), groups=count, note="no interval: all images belong to one group")
    limits = np.array([wilson(float(r), float(s) * factor) for r, s in zip(rates, sizes, strict=True)])
    low = value - float(np.linalg.norm(rates - limits[:, 0])) / len(names)
    high = value + float(np.linalg.norm(limits[:, 1] - rates)) / len(names)
    return Value(value, max(0.0, low), min(1.0, high), len(hits), count)


def mean(numbers: NDArray[np.floating], groups: Groups | None = None) -> Value:
    """Mean of numbers (n,) with a t interval, over groups where images are grouped."""
    n = len(numbers)
    if n == 0:
        return undefined("no images")
    wide = numbers.astype(np.float64)
    value = float(wide.mean())
    codes, count = clusters(groups) if groups is not None else (np.arange(n), n)
    known = None if groups is None else count
    if count == 1:
        return Value(value, n=n, groups=known, note="no interval: a single image or group")
    sums = np.bincount(codes, weights=wide - value, minlength=count)
    half = t_quantile(count - 1) * float(np.sqrt(count / (count - 1) * (sums @ sums))) / n
    return Value(value, value - half, value + half, n, known)
