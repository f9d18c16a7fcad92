"""From the cells of a claim to its members: what each says, with an interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from medrobust import MedrobustError
from medrobust.api import METRICS

from ..labels import Row, agree, matches
from .estimates import RESAMPLES, EffectEstimate, apart, difference, effect_of, over_repetitions
from .members import Family, Item, by_seed, cells_of, distinct, missing_records, planned_matches, spread
from .specs import BoundClaim, Claim, ComparisonClaim, TrendClaim

DRAWS_PER_MEMBER = 50
"""Bootstrap draws for each member of a family; fewer could never be significant after its correction."""


@dataclass(frozen=True)
class Member:
    """One cell, pair or series.

    Attributes:
        row: its labels; where the sides of a pair differ, both.
        found: what it says.
        steps: for a series, the steps from cell to cell.
    """

    row: Row
    found: EffectEstimate
    steps: tuple[EffectEstimate, ...] = ()


@dataclass
class Gathered:
    """Everything that could be said on a claim.

    Attributes:
        members: those with a number, and with an interval where the claim needs one.
        used: the items behind them.
        missing: what there should be, in words.
        undefined: why members have no number or no interval, one reason for each.
    """

    members: list[Member] = field(default_factory=list)
    used: list[Item] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    undefined: list[str] = field(default_factory=list)

    def add(
        self,
        row: Row,
        found: EffectEstimate,
        used: Iterable[Item],
        steps: Sequence[EffectEstimate] = (),
        *,
        interval: bool = True,
    ) -> None:
        """Take a member in, or note why it says nothing; a bound can do without an interval."""
        unusable = [each for each in (found, *steps) if not (each.testable if interval else each.effect is not None)]
        if unusable:
            self.undefined.append(unusable[0].reason or "no interval")
            return
        self.members.append(Member(row, found, tuple(steps)))
        self.used.extend(used)


def gather(claim: Claim, items: Sequence[Item]) -> Gathered:
    """The members of a claim among the items of a plan."""
    if isinstance(claim, BoundClaim):
        return _bound(claim, items)
    if isinstance(claim, ComparisonClaim):
        return _comparison(claim, items)
    assert isinstance(claim, TrendClaim)
    return _trend(claim, items)


def _limits(claim: Claim, *, differences: bool) -> tuple[float, float]:
    low, high = METRICS[claim.metric].bounds if claim.metric in METRICS else (-math.inf, math.inf)
    return (low - high, high - low) if differences else (low, high)


def _complete(*families: Family) -> bool:
    return all(item.measured for family in families for item in family.values())


def _bound(claim: BoundClaim, items: Sequence[Item]) -> Gathered:
    result = Gathered()
    selected = planned_matches(spread(items, claim.metric), claim.where)
    _note_missing(result, selected)
    for family in distinct(by_seed(selected)):
        if _complete(family):
            found = [effect_of(claim.metric, item) for item in family.values()]
            first = next(iter(family.values()))
            mean = over_repetitions(found, _limits(claim, differences=False))
            result.add(first.row, mean, family.values(), interval=False)
    return result


def _comparison(claim: ComparisonClaim, items: Sequence[Item]) -> Gathered:
    result = Gathered()
    names = (claim.metric, claim.right_metric or claim.metric)
    sides = [spread(items, name) for name in names]
    lefts = by_seed(planned_matches(sides[0], claim.where, claim.left))
    rights = by_seed(planned_matches(sides[1], claim.where, claim.right))
    _note_missing(result, [item for family in (*lefts, *rights) for item in family.values()])
    pairs = _pairs(claim, lefts, rights, names)
    paired, all_lefts = {cells_of(one) for one, _ in pairs}, {cells_of(one) for one in lefts}
    if (alone := len(all_lefts - paired)) and rights:
        result.missing.append(f"a partner of equal {', '.join(claim.pair_on)} for {alone} of {len(all_lefts)} cells")
    resamples = max(RESAMPLES, DRAWS_PER_MEMBER * len(pairs))
    for one, other in pairs:
        seeds = [seed for seed in one if seed in other]
        bases = [
            _base(claim, family[seed], side) for family, side in ((one, sides[0]), (other, sides[1])) for seed in seeds
        ]
        if not _complete(one, other) or any(base is None or not base.measured for base in bases):
            continue
        found = [_difference(claim, one[seed], other[seed], names, sides, resamples) for seed in seeds]
        used = [family[seed] for family in (one, other) for seed in seeds]
        rows = one[seeds[0]].row, other[seeds[0]].row
        result.add(_both(*rows), over_repetitions(found, _limits(claim, differences=True)), used)
    return result


def _pairs(
    claim: ComparisonClaim, lefts: Sequence[Family], rights: Sequence[Family], names: tuple[str, str]
) -> list[tuple[Family, Family]]:
    """The pairs to compare, each once however many names the grid has for its cells."""
    first: dict[tuple[object, object], tuple[Family, Family]] = {}
    for one, other in ((one, other) for one in lefts for other in rights):
        if _paired(claim, one, other, names):
            first.setdefault((cells_of(one), cells_of(other)), (one, other))
    return list(first.values())


def _paired(claim: ComparisonClaim, one: Family, other: Family, names: tuple[str, str]) -> bool:
    left, right = next(iter(one.values())), next(iter(other.values()))
    same = left.cell == right.cell and left.index == right.index and names[0] == names[1]
    return not same and not one.keys().isdisjoint(other) and agree(left.row, right.row, claim.pair_on)


def _base(claim: ComparisonClaim, item: Item, items: Sequence[Item]) -> Item | None:
    """The cell from which the change of an item is counted; itself where the metric is compared as it is."""
    if not claim.change_from:
        return item
    # The radius follows the budget.
    kept = [axis for axis in item.row if axis not in claim.change_from and axis != "eps"]
    for other in items:
        if matches(other.row, dict(claim.change_from)) and agree(other.row, item.row, kept):
            return other
    return None


def _difference(
    claim: ComparisonClaim, left: Item, right: Item, names: tuple[str, str], sides: list[list[Item]], resamples: int
) -> EffectEstimate:
    if not claim.change_from:
        return difference(left, right, names, claim.factor, resamples)
    changes = []
    for item, name, side in ((left, names[0], sides[0]), (right, names[1], sides[1])):
        base = _base(claim, item, side)
        assert base is not None
        changes.append(difference(item, base, (name, name), resamples=resamples))
    return apart(changes[0], changes[1], claim.factor)


def _both(left: Row, right: Row) -> Row:
    return {
        axis: left[axis] if left[axis] == right.get(axis, "") else f"{left[axis]} vs {right.get(axis, '')}".strip()
        for axis in left
    }


def _trend(claim: TrendClaim, items: Sequence[Item]) -> Gathered:
    result = Gathered()
    along = {claim.along: claim.order} if claim.order else {}
    selected = [
        item
        for item in planned_matches(spread(items, claim.metric), claim.where, dict(along))
        if item.row.get(claim.along)
    ]
    _note_missing(result, selected)
    series: dict[tuple[str, ...], list[Family]] = {}
    for family in by_seed(selected):
        row = next(iter(family.values())).row
        series.setdefault(tuple(row.get(axis, "") for axis in claim.pair_on), []).append(family)
    resamples = max(RESAMPLES, DRAWS_PER_MEMBER * sum(map(len, series.values())))
    seen: set[frozenset[frozenset[object]]] = set()
    for families in map(distinct, series.values()):
        cells = frozenset(map(cells_of, families))
        if cells in seen:
            continue
        seen.add(cells)
        ordered = sorted(families, key=lambda family: _place(claim, family))
        _check_places(claim, ordered)
        if len(ordered) < 2:
            result.missing.append(f"a second value of {claim.along} for {_named(claim.pair_on, ordered[0])}")
        elif _complete(*ordered):
            ends = _change(claim, ordered[0], ordered[-1], resamples)
            steps = [_change(claim, a, b, resamples) for a, b in pairwise(ordered)] if len(ordered) > 2 else []
            used = [item for family in ordered for item in family.values()]
            result.add(used[0].row, ends, used, steps)
    return result


def _place(claim: TrendClaim, family: Family) -> float:
    label = next(iter(family.values())).row[claim.along]
    for place, pattern in enumerate(claim.order):
        if matches({claim.along: label}, {claim.along: pattern}):
            return place
    return float(label)


def _check_places(claim: TrendClaim, ordered: Sequence[Family]) -> None:
    for one, other in pairwise(ordered):
        if _place(claim, one) == _place(claim, other):
            rows = [next(iter(family.values())).row for family in (one, other)]
            axis = next(a for a in rows[0] if a != "seed" and rows[0][a] != rows[1].get(a))
            raise MedrobustError(
                f"claims.toml: {claim.id}: two cells of a series have the same {claim.along} and differ in '{axis}' "
                f"({rows[0][axis]}, {rows[1].get(axis)}); select one with `where` or name it in pair_on"
            )


def _change(claim: TrendClaim, first: Family, last: Family, resamples: int) -> EffectEstimate:
    names = (claim.metric, claim.metric)
    found = [difference(last[seed], first[seed], names, resamples=resamples) for seed in first if seed in last]
    if not found:
        return EffectEstimate(None, reason="no seed in common")
    return over_repetitions(found, _limits(claim, differences=True))


def _named(axes: Sequence[str], family: Family) -> str:
    row = next(iter(family.values())).row
    return ", ".join(row.get(axis, "") for axis in axes)


def _note_missing(result: Gathered, items: Sequence[Item]) -> None:
    if text := missing_records(items):
        result.missing.append(text)
