"""Whether two cells that share images differ: McNemar, DeLong, the paired bootstrap, and Holm over a family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ...errors import MedrobustError
from ..outcomes import correct, take
from ..record import Record
from .auc import Area, half_width
from .rates import CONFIDENCE, Groups, Z, clusters, design, group_count, t_quantile
from .value import Value

MOST_UNDEFINED = 0.05
"""Share of bootstrap resamples that may leave a metric undefined (a class without images) before it has no interval."""


@dataclass(frozen=True)
class Comparison:
    """The difference of a metric between two records of the same images, first minus second.

    Attributes:
        difference: first minus second, None where undefined.
        low: lower end of its 95 % interval.
        high: upper end of its 95 % interval.
        p: two-sided p value of no difference.
        n: images compared.
        groups: groups (patients) they come from, or None where unknown.
        test: the test's name.
        reason: why it is undefined; empty where it is defined.
    """

    difference: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n: int = 0
    groups: int | None = None
    test: str = ""
    reason: str = ""


def align(first: Record, second: Record) -> tuple[Record, Record]:
    """Both records on the images they share, in the order of the first; labels must agree."""
    for record in (first, second):
        if len(np.unique(record.ids)) < len(record):
            raise MedrobustError("a record names an image twice: it cannot be compared image by image")
    _, left, right = np.intersect1d(first.ids, second.ids, assume_unique=True, return_indices=True)
    if len(left) == 0:
        raise MedrobustError("the records share no image: compare cells with the same evaluation set")
    order = np.argsort(left)
    first, second = take(first, left[order]), take(second, right[order])
    if first.labels is not None and second.labels is not None and not np.array_equal(first.labels, second.labels):
        raise MedrobustError("the records give different labels to the same images: they are of different data sets")
    return first, second


def mcnemar(first: Record, second: Record) -> Comparison:
    """Accuracy under attack of two records, image by image; see `paired_rates`."""
    first, second = align(first, second)
    return paired_rates(correct(first, first.adversarial), correct(second, second.adversarial), first.groups)


def paired_rates(first: NDArray[np.bool_], second: NDArray[np.bool_], groups: Groups | None = None) -> Comparison:
    """Two rates over the same images, first minus second; `first` and `second` say which images count (n,).

    Exact binomial test of the images that count in only one of them (McNemar 1947, Psychometrika 12:153);
    with several images a patient, the test for clustered pairs of Obuchowski (1998, Stat Med 17:1495). Interval by
    Agresti and Min (2005, Stat Med 24:729), shrunk by the design effect.
    """
    n = len(first)
    difference = first.astype(np.int64) - second
    estimate = float(difference.mean())
    factor, count = design(difference.astype(np.float64) - estimate, groups)
    only_first, only_second = int(np.count_nonzero(difference > 0)), int(np.count_nonzero(difference < 0))
    if factor is None:
        return Comparison(estimate, n=n, groups=count, test="mcnemar", reason="all images belong to one group")
    # Half an image is added to each of the four cells of the table of pairs.
    size, gained, lost = n * factor + 2, only_first * factor + 0.5, only_second * factor + 0.5
    centre = (gained - lost) / size
    half = Z * float(np.sqrt(gained + lost - (gained - lost) ** 2 / size)) / size
    low, high = max(-1.0, min(estimate, centre - half)), min(1.0, max(estimate, centre + half))
    if count is None or count == n:
        p = sign_test(only_first, only_second)[1]
        return Comparison(estimate, low, high, p, n, count, "mcnemar exact")
    return Comparison(estimate, low, high, _clustered_p(difference, groups), n, count, "mcnemar clustered")


def sign_test(wins: int, losses: int) -> tuple[float, float]:
    """Exact p values of a fair coin: of as many wins or more, and two-sided; 1 without any toss.

    The binomial distribution itself: `scipy.stats.binomtest` gives the same, and takes over a second to import.
    """
    tosses = wins + losses
    if not tosses:
        return 1.0, 1.0
    more, fewer = float(special.bdtrc(wins - 1, tosses, 0.5)) if wins else 1.0, float(special.bdtr(wins, tosses, 0.5))
    return more, min(1.0, 2 * min(more, fewer))


def _clustered_p(difference: NDArray[np.int64], groups: Groups | None) -> float:
    """Obuchowski's chi-square with one degree of freedom, as Yang, Sun and Hardin (2010, Biom J 52:638) simplify it."""
    if groups is None or not difference.any():
        return 1.0
    codes, count = clusters(groups)
    sums = np.bincount(codes, weights=difference, minlength=count)
    if not sums.any():
        return 1.0
    statistic = (count - 1) / count * float(sums.sum()) ** 2 / float(sums @ sums)
    return float(special.chdtrc(1, statistic))


def delong(first: Area, second: Area, groups: Groups | None = None) -> Comparison:
    """AUCs of two scores of the same images, in the same order (DeLong, DeLong and Clarke-Pearson 1988)."""
    estimate, n = first.auc - second.auc, len(first.influence)
    influence, count = first.influence - second.influence, group_count(groups)
    half = half_width(influence, groups)
    if min(first.positives, first.negatives) < 2:
        reason = "a single positive or negative image or group: no variance"
        return Comparison(estimate, n=n, groups=count, test="delong", reason=reason)
    if half is None:
        return Comparison(estimate, n=n, groups=count, test="delong", reason="all images belong to one group")
    if half == 0:
        if estimate == 0:
            return Comparison(0.0, 0.0, 0.0, 1.0, n, count, "delong")
        return Comparison(
            estimate, n=n, groups=count, test="delong", reason="both scores separate perfectly: no variance"
        )
    low, high = max(-1.0, estimate - half), min(1.0, estimate + half)
    # The half width over its own quantile is the standard error, whichever quantile that was.
    if count is None or count == n:
        p = 2 * float(special.ndtr(-abs(estimate) / (half / Z)))
    else:
        p = 2 * float(special.stdtr(count - 1, -abs(estimate) / (half / t_quantile(count - 1))))
    return Comparison(estimate, low, high, p, n, count, "delong")


def paired_bootstrap(
    metric: Callable[[Record], Value], first: Record, second: Record, *, resamples: int = 1000, seed: int = 0
) -> Comparison:
    """Difference of any scalar metric: percentile interval over resampled images, or patients where they are known.

    Both records are resampled alike (Efron and Tibshirani 1993, An Introduction to the Bootstrap, ch. 13 and 16).
    Deterministic in `seed`. The p value is the smallest level at which the interval leaves out 0.
    """
    first, second = align(first, second)
    n, count = len(first), group_count(first.groups)
    values = metric(first), metric(second)
    one, other = values[0].scalar, values[1].scalar
    if one is None or other is None:
        reason = values[0].reason or values[1].reason
        return Comparison(None, n=n, groups=count, test="paired bootstrap", reason=reason)
    draws = []
    for index in _resamples(first.groups, n, resamples, seed):
        left, right = metric(_resampled(first, index)).scalar, metric(_resampled(second, index)).scalar
        if left is not None and right is not None:
            draws.append(left - right)
    if reason := _too_few(len(draws), resamples, count):
        return Comparison(one - other, n=n, groups=count, test="paired bootstrap", reason=reason)
    differences = np.array(draws)
    low, high = np.quantile(differences, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    tail = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    p = min(1.0, 2 * (int(tail) + 1) / (len(differences) + 1))
    return Comparison(one - other, float(low), float(high), p, n, count, "paired bootstrap")


def bootstrap(metric: Callable[[Record], Value], record: Record, *, resamples: int = 1000, seed: int = 0) -> Value:
    """Any scalar metric with a percentile interval over resampled images, or patients where they are known.

    For metrics without an interval in closed form, and as a check of those that have one. Deterministic in `seed`.
    """
    value = metric(record)
    if value.scalar is None:
        return value
    draws = [drawn.scalar for drawn in resampled(metric, record, resamples=resamples, seed=seed)]
    return percentiles(value, draws, group_count(record.groups))


def resampled(
    metric: Callable[[Record], Value], record: Record, *, resamples: int = 1000, seed: int = 0
) -> Iterator[Value]:
    """A metric of each resample of the images, or of the patients where they are known. Deterministic in `seed`."""
    for index in _resamples(record.groups, len(record), resamples, seed):
        yield metric(_resampled(record, index))


def percentiles(value: Value, draws: Sequence[float | None], groups: int | None) -> Value:
    """A scalar with the percentile interval of what it is in resamples, None where it is undefined in one.

    Args:
        value: the scalar.
        draws: in each resample.
        groups: number of patients that were resampled, None for images.
    """
    known = [draw for draw in draws if draw is not None]
    if reason := _too_few(len(known), len(draws), groups):
        return replace(value, low=None, high=None, note=f"no interval: {reason}")
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return replace(value, low=float(low), high=float(high))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P values of a family adjusted by Holm's step-down procedure (1979, Scand J Stat 6:65); None stays out of it."""
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[place] = highest
    return adjusted


def _too_few(known: int, resamples: int, groups: int | None) -> str:
    if groups == 1:
        return "all images belong to one group"
    missing = resamples - known
    return f"undefined in {missing} of {resamples} resamples" if missing > MOST_UNDEFINED * resamples else ""


def _resampled(record: Record, index: NDArray[np.intp]) -> Record:
    """A resample; without groups, since only its value is wanted and not its interval."""
    return take(replace(record, groups=None), index)


def _resamples(groups: Groups | None, n: int, resamples: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """Positions drawn with replacement, whole groups at a time."""
    rng = np.random.default_rng(seed)
    if groups is None:
        for _ in range(resamples):
            yield rng.integers(0, n, n)
        return
    codes, count = clusters(groups)
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    for _ in range(resamples):
        yield np.concatenate([members[group] for group in rng.integers(0, count, count)])
