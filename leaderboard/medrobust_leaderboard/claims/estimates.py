"""Effects with intervals, and how far they are from a border."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from medrobust import (
    METRICS,
    Comparison,
    Record,
    Value,
    bootstrap,
    compare,
    evaluate,
    mean_of,
    over_seeds,
    paired_bootstrap,
    paired_rates,
)

from .members import Item

Z: Final = 1.959963984540054
"""Half width of a 95 % interval in standard errors."""
RESAMPLES: Final = 1000


@dataclass(frozen=True)
class EffectEstimate:
    """A number with its 95 % interval.

    Attributes:
        effect: the number, None where undefined (`reason` says why).
        low, high: ends of the interval; None where there is none.
        p: two-sided p value of an effect of 0 from a test better than the interval, where there is one.
        n: images behind it.
        reason: why effect or interval is missing.
    """

    effect: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n: int = 0
    reason: str = ""

    @property
    def testable(self) -> bool:
        """Whether it can be held against a border."""
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


def measure(name: str, item: Item) -> Callable[[Record], Value]:
    """The scalar that a claim reads from a record: a metric, or the entry of one that the item stands for."""

    def scalar(record: Record) -> Value:
        value = evaluate(name, record)
        return value if item.index is None or not value.defined else value.at(item.index)

    return scalar


def effect_of(name: str, item: Item) -> EffectEstimate:
    """A metric of one item, which has a record."""
    assert item.record is not None
    return of_value(measure(name, item)(item.record))


def difference(
    left: Item, right: Item, names: tuple[str, str], factor: float = 1.0, resamples: int = RESAMPLES
) -> EffectEstimate:
    """Left minus `factor` times right, by the statistics that suit.

    One record: image by image for two rates over all images, else by bootstrap. Same images and metric: the paired
    comparison of that metric. Otherwise both count as independent (see `apart`), which is too cautious where images are
    shared.
    """
    assert left.record is not None
    assert right.record is not None
    one, other = measure(names[0], left), measure(names[1], right)
    hits = [METRICS[name].hits for name in names]
    if left.cell == right.cell and hits[0] and hits[1] and factor == 1:
        values = one(left.record), other(left.record)
        if any(value.scalar is None for value in values):
            return of_value(next(value for value in values if value.scalar is None))
        return of_comparison(paired_rates(hits[0](left.record), hits[1](left.record), left.record.groups))
    if left.cell == right.cell:

        def within(record: Record) -> Value:
            first, second = one(record), other(record)
            if first.scalar is None or second.scalar is None:
                return Value(None, n=len(record), reason=first.reason or second.reason)
            return Value(first.scalar - factor * second.scalar, n=len(record))

        return of_value(bootstrap(within, left.record, resamples=resamples))
    if left.images == right.images and names[0] == names[1] and left.index == right.index and factor == 1:
        if METRICS[names[0]].axis:
            found = paired_bootstrap(one, left.record, right.record, resamples=resamples)
        else:
            found = compare(names[0], left.record, right.record, resamples=resamples)
        return of_comparison(found)
    return apart(of_value(one(left.record)), of_value(other(right.record)), factor)


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
    """Mean over seeds; the interval holds both that of the seeds and that of the images, as either may mislead."""
    if len(estimates) == 1:
        return estimates[0]
    values = [each.value for each in estimates]
    across, within = of_value(over_seeds(values, bounds)), of_value(mean_of(values))
    if not (across.testable and within.testable):
        return EffectEstimate(across.effect, n=across.n, reason=across.reason or within.reason)
    assert across.low is not None
    assert across.high is not None
    assert within.low is not None
    assert within.high is not None
    return EffectEstimate(across.effect, min(across.low, within.low), max(across.high, within.high), n=across.n)


def average(estimates: Sequence[EffectEstimate]) -> EffectEstimate:
    """Mean over the members of a claim; its interval is the mean of theirs, the widest their correlation allows."""
    return of_value(mean_of([each.value for each in estimates]))


@dataclass(frozen=True)
class Tested:
    """P values of the two ways a member can speak; at most one is below 1.

    Attributes:
        supports: small where the effect is significantly on the claim's side of the border.
        contradicts: small where it is significantly on the other.
    """

    supports: float
    contradicts: float


def above(found: EffectEstimate, border: float) -> Tested:
    """Whether an effect lies above a border."""
    assert found.effect is not None
    if found.effect == border:
        return Tested(1.0, 1.0)
    p = _p(found, border)
    return Tested(p, 1.0) if found.effect > border else Tested(1.0, p)


def below(found: EffectEstimate, border: float) -> Tested:
    """Whether an effect lies below a border."""
    mirrored = above(found, border)
    return Tested(mirrored.contradicts, mirrored.supports)


def within(found: EffectEstimate, margin: float) -> Tested:
    """Whether an effect lies within a margin of 0, by two one-sided tests (Schuirmann 1987)."""
    over, under = above(found, -margin), below(found, margin)
    return Tested(max(over.supports, under.supports), min(over.contradicts, under.contradicts))


def _p(found: EffectEstimate, border: float) -> float:
    """The level at which the interval's end meets the border, which is under 5 % where the interval leaves it out.

    The side of the interval towards the border is taken as that of a normal distribution.
    """
    assert found.effect is not None
    assert found.low is not None
    assert found.high is not None
    if border == 0 and found.p is not None:
        return found.p
    half = found.effect - found.low if found.effect > border else found.high - found.effect
    if half <= 0:
        # An interval without width says nothing of chance; a test of 0, where there was one, does.
        return 0.0 if found.p is None else found.p
    return math.erfc(Z * abs(found.effect - border) / half / math.sqrt(2))
