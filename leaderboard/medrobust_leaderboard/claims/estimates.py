"""Effects with intervals: of one cell, of a pair, and over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
from scipy import special

from medrobust.api import (
    METRICS,
    Comparison,
    Record,
    Value,
    compare,
    mean_of,
    measure,
    paired_bootstrap,
    paired_rates,
    percentiles,
    resampled,
)

from .members import Item
from .specs import LEVEL

RESAMPLES: Final = 1000
Index = int | None
"""Of an entry of a metric that has several."""


@dataclass(frozen=True)
class EffectEstimate:
    """A number with its 95 % interval.

    Attributes:
        effect: the number, None where undefined (`reason` says why).
        low, high: ends of the interval; None where there is none.
        p: two-sided p value of an effect of 0 from a test better than the interval, where there is one.
        n: images behind it.
        reason: why effect or interval is missing.
        seeds: repetitions of which this is the mean.
        spread: standard error of that mean from how the repetitions differ; 0 for a single one.
    """

    effect: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n: int = 0
    reason: str = ""
    seeds: int = 1
    spread: float = 0.0

    @property
    def testable(self) -> bool:
        """Whether it has the interval that says what is beyond chance."""
        return self.effect is not None and self.low is not None and self.high is not None

    @property
    def value(self) -> Value:
        return Value(self.effect, self.low, self.high, self.n, reason=self.reason)


def of_value(value: Value) -> EffectEstimate:
    """A metric as an estimate."""
    low, high = value.interval or (None, None)
    return EffectEstimate(value.scalar, low, high, None, value.n, value.reason or value.note)


def of_comparison(found: Comparison) -> EffectEstimate:
    """A paired comparison as an estimate."""
    return EffectEstimate(found.difference, found.low, found.high, found.p, found.n, found.reason)


def scalar_of(name: str, item: Item) -> Callable[[Record], Value]:
    """The scalar that a claim reads from a record: a metric, or the entry of one that the item stands for."""

    return lambda record: entry(measure(name, record), item.index)


def entry(value: Value, index: Index) -> Value:
    """The entry of a metric that an index stands for; the metric itself where there is none."""
    return value if index is None or not value.defined else value.at(index)


def effect_of(name: str, item: Item) -> EffectEstimate:
    """A metric of one item, from its record or as it was given."""
    if name in item.values:
        return of_value(item.values[name])
    if item.record is None:
        return EffectEstimate(None, reason=item.absent)
    return of_value(scalar_of(name, item)(item.record))


def difference(
    left: Item, right: Item, names: tuple[str, str], factor: float = 1.0, resamples: int = RESAMPLES
) -> EffectEstimate:
    """Left minus `factor` times right, by the statistics that suit.

    One record: image by image for two rates over all images, else by bootstrap. Same images and metric: the paired
    comparison of that metric. Otherwise both count as independent (see `apart`), which is too cautious where images are
    shared.
    """
    if left.record is None or right.record is None:
        return apart(effect_of(names[0], left), effect_of(names[1], right), factor)
    one, other = scalar_of(names[0], left), scalar_of(names[1], right)
    hits = [METRICS[name].hits for name in names]
    if left.cell == right.cell and hits[0] and hits[1] and factor == 1:
        values = one(left.record), other(left.record)
        if any(value.scalar is None for value in values):
            return of_value(next(value for value in values if value.scalar is None))
        return of_comparison(paired_rates(hits[0](left.record), hits[1](left.record), left.record.groups))
    if left.cell == right.cell:
        return of_value(_within(left.record, (left.index, right.index), names, factor, resamples))
    if left.images == right.images and names[0] == names[1] and left.index == right.index and factor == 1:
        if METRICS[names[0]].axis:
            found = paired_bootstrap(one, left.record, right.record, resamples=resamples)
        else:
            found = compare(names[0], left.record, right.record, resamples=resamples)
        return of_comparison(found)
    return apart(of_value(one(left.record)), of_value(other(right.record)), factor)


def _within(
    record: Record, indices: tuple[Index, Index], names: tuple[str, str], factor: float, resamples: int
) -> Value:
    """Difference of two numbers of one record, by bootstrap: both are taken from the same resamples."""

    def difference(first: Value, second: Value) -> Value:
        one, other = entry(first, indices[0]), entry(second, indices[1])
        if one.scalar is None or other.scalar is None:
            return Value(None, n=len(record), reason=one.reason or other.reason)
        return Value(one.scalar - factor * other.scalar, n=len(record))

    value = difference(*(measure(name, record) for name in names))
    if value.scalar is None:
        return value
    pairs = zip(*(_resampled(name, record, resamples) for name in names), strict=True)
    groups = None if record.groups is None else len(np.unique(record.groups))
    return percentiles(value, [difference(*pair).scalar for pair in pairs], groups)


@lru_cache(maxsize=4)
def _resampled(name: str, record: Record, resamples: int) -> tuple[Value, ...]:
    """A metric of each resample; kept, as a claim about the bins of a curve compares many pairs of one record."""
    return tuple(resampled(METRICS[name], record, resamples=resamples))


def apart(left: EffectEstimate, right: EffectEstimate, factor: float = 1.0) -> EffectEstimate:
    """Left minus `factor` times right of independent estimates.

    The interval combines theirs by the method of variance estimates recovery (Zou and Donner 2008, Stat Med 27:1693);
    for two rates it is Newcombe's (1998, Stat Med 17:873).
    """
    n = min(left.n, right.n)
    if left.effect is None or right.effect is None:
        return EffectEstimate(None, n=n, reason=left.reason or right.reason)
    effect = left.effect - factor * right.effect
    if left.low is None or left.high is None or right.low is None or right.high is None:
        return EffectEstimate(effect, n=n, reason=left.reason or right.reason or "no interval")
    low = effect - math.hypot(left.effect - left.low, factor * (right.high - right.effect))
    high = effect + math.hypot(left.high - left.effect, factor * (right.effect - right.low))
    return EffectEstimate(effect, low, high, n=n)


def over_repetitions(estimates: Sequence[EffectEstimate], bounds: tuple[float, float]) -> EffectEstimate:
    """Mean over seeds, with an interval for both the seeds and the images, cut at `bounds`.

    How the seeds differ says nothing of another test set, and an interval over images nothing of another training, so
    both variances add up: the half width is the root of the sum of squares of that of the t interval over seeds and
    that of the mean interval over images. It covers 95 % or a little more, whichever of the two is the larger; the
    wider of both alone covers less (91 % for five seeds).
    """
    known = [each for each in estimates if each.effect is not None]
    if len(known) < 2:
        return known[0] if known else estimates[0]
    effects = np.array([each.effect for each in known], dtype=np.float64)
    effect, spread = float(effects.mean()), float(effects.std(ddof=1)) / len(effects) ** 0.5
    images = of_value(mean_of([each.value for each in known]))
    found = EffectEstimate(effect, n=images.n, reason=images.reason, seeds=len(known), spread=spread)
    if images.low is None or images.high is None:
        return found
    seeds = student(LEVEL, len(known) - 1) * spread
    low, high = effect - math.hypot(seeds, effect - images.low), effect + math.hypot(seeds, images.high - effect)
    return replace(found, low=max(bounds[0], low), high=min(bounds[1], high))


def student(level: float, degrees: int) -> float:
    """Two-sided quantile of Student's t: what it exceeds in size with a probability of `level`."""
    return -float(special.stdtrit(degrees, level / 2))


def average(estimates: Sequence[EffectEstimate]) -> EffectEstimate:
    """Mean over the members of a claim; its interval is the mean of theirs, the widest their correlation allows."""
    return of_value(mean_of([each.value for each in estimates]))
