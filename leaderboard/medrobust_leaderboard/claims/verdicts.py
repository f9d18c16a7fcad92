"""The verdict on a claim.

Every member is tested against the claim's border at level 0.05, two-sided: a 95 % interval that covers the border
leaves it undecided. Then, by quantifier:

- `all` holds if every member supports it. Each member alone is tested at the full level, as all of them must pass (an
  intersection-union test: Berger 1982, Technometrics 24:295). It does not hold if any member contradicts it, where a
  single one of many may do so by chance: after Holm's correction over the members.
- `most` holds if more than half support it, and does not hold if at least half contradict it, both after Holm's
  correction.
- `average` is one test of the mean.

A claim of which a part is missing cannot hold; only a contradiction of `all` needs no other part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from medrobust.api import Store, holm

from ..labels import Row, tables
from ..selection import Selected
from .effects import Gathered, Member, gather
from .estimates import EffectEstimate, Tested, above, average, below, within
from .members import Item, items_of, missing_labels, planned_matches, problems_of, spread, wanted, with_records
from .specs import LEVEL, PENDING, BoundClaim, Claim, ComparisonClaim, TrendClaim

Verdict = Literal["holds", "does not hold", "undecided", "cannot be tested here"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A claim with its verdict and the numbers behind it.

    Attributes:
        effect: of the average, or of the member that decides: the one that contradicts most clearly, else the least
            supported one (`all`), or the middle one (`most`). A number, a difference, or for a series last minus first.
        decisive: the labels of that member, as far as they vary.
        members: how many were tested.
        supported, contradicted: how many of them are so significantly.
        n: smallest number of images behind a member.
        missing: what a test would need; empty if nothing.
        undefined: how many members have no number, and why.
        substituted: whether any record is of data or models that replace the paper's.
    """

    claim: Claim
    verdict: Verdict
    effect: EffectEstimate | None = None
    decisive: str = ""
    members: int = 0
    supported: int = 0
    contradicted: int = 0
    missing: str = ""
    undefined: str = ""
    substituted: bool = False

    @property
    def n(self) -> int | None:
        return self.effect.n if self.effect else None


def verdicts_on(
    claims: Iterable[Claim], rows: Iterable[Selected], store: Store, substituted: Callable[[Row], bool]
) -> list[Finding]:
    """The verdicts on all claims of a paper, from the entries of a plan and a store.

    Records are read claim by claim, so that no more than one claim's are in memory.
    """
    items, problems = items_of(rows, substituted), problems_of(store)
    findings = []
    for claim in claims:
        concerned = _concerned(claim, items)
        loaded = {
            id(item): full for item, full in zip(concerned, with_records(concerned, store, problems), strict=True)
        }
        findings.append(verdict_on(claim, [loaded.get(id(item), item) for item in items]))
    return findings


def unplanned(claims: Iterable[Claim]) -> list[Finding]:
    """The claims of a paper without a grid: none can be tested, and each says what it needs."""
    return [verdict_on(claim, []) for claim in claims]


def verdict_on(claim: Claim, items: Sequence[Item]) -> Finding:
    """The verdict on one claim, from the items of a plan with their records."""
    missing = missing_labels(claim, items)
    if any(name in PENDING for name in claim.metrics.values()):
        return Finding(claim=claim, verdict="cannot be tested here", missing="; ".join(missing))
    gathered = gather(claim, items)
    finding = Finding(
        claim=claim,
        verdict="cannot be tested here",
        members=len(gathered.members),
        missing="; ".join(dict.fromkeys((*missing, *gathered.missing))),
        undefined=_undefined(gathered),
        substituted=any(item.substituted for item in gathered.used),
    )
    if not gathered.members:
        return replace(finding, missing=finding.missing or finding.undefined or "cells to compare")
    return _decide(finding, gathered.members)


def _decide(finding: Finding, members: Sequence[Member]) -> Finding:
    claim, gap = finding.claim, bool(finding.missing)
    tested = [_tested(claim, member) for member in members]
    supports = _below_level([each.supports for each in tested], family=claim.quantifier == "most")
    contradicts = _below_level([each.contradicts for each in tested], family=True)
    counts = replace(finding, supported=sum(supports), contradicted=sum(contradicts))
    verdict: Verdict = "undecided"
    if claim.quantifier == "average":
        mean = average([member.found for member in members])
        test = against_border(claim, mean)
        if test.supports < LEVEL:
            verdict = "holds"
        elif test.contradicts < LEVEL:
            verdict = "does not hold"
        return replace(counts, verdict="cannot be tested here" if gap else verdict, effect=mean)
    if claim.quantifier == "all":
        ranked = sorted(range(len(members)), key=lambda i: (-tested[i].supports, clearance(claim, members[i].found)))
        place = ranked[0]
        if any(contradicts):
            verdict = "does not hold"
            place = min(range(len(members)), key=lambda i: (tested[i].contradicts, clearance(claim, members[i].found)))
        elif gap:
            verdict = "cannot be tested here"
        elif all(supports):
            verdict = "holds"
    else:
        ranked = sorted(range(len(members)), key=lambda i: clearance(claim, members[i].found))
        place = ranked[(len(ranked) - 1) // 2]
        if gap:
            verdict = "cannot be tested here"
        elif 2 * sum(supports) > len(members):
            verdict = "holds"
        elif 2 * sum(contradicts) >= len(members):
            verdict = "does not hold"
    shown = _deciding_step(claim, members[place]) if contradicts[place] else members[place].found
    return replace(counts, verdict=verdict, effect=shown, decisive=_labels(claim, members, place))


def _below_level(p_values: Sequence[float], *, family: bool) -> list[bool]:
    adjusted = holm(p_values) if family else p_values
    return [p is not None and p < LEVEL for p in adjusted]


def against_border(claim: Claim, found: EffectEstimate) -> Tested:
    """One effect against the border of a claim."""
    if isinstance(claim, BoundClaim):
        if claim.at_most is not None:
            return below(found, claim.at_most)
        assert claim.at_least is not None
        return above(found, claim.at_least)
    if isinstance(claim, TrendClaim):
        return above(found, 0.0) if claim.direction == "increasing" else below(found, 0.0)
    assert isinstance(claim, ComparisonClaim)
    if claim.direction == "equal":
        return within(found, claim.margin)
    return above(found, claim.margin) if claim.direction == "greater" else below(found, -claim.margin)


def _tested(claim: Claim, member: Member) -> Tested:
    ends = against_border(claim, member.found)
    if not member.steps:
        return ends
    against = holm([against_border(claim, step).contradicts for step in member.steps])
    worst = min(p for p in against if p is not None)
    return Tested(1.0 if worst < LEVEL else ends.supports, min(ends.contradicts, worst))


def _deciding_step(claim: Claim, member: Member) -> EffectEstimate:
    candidates = (member.found, *member.steps)
    return min(candidates, key=lambda found: against_border(claim, found).contradicts)


def clearance(claim: Claim, found: EffectEstimate) -> float:
    """How far an effect is on the claim's side of its border; negative on the other."""
    assert found.effect is not None
    if isinstance(claim, BoundClaim):
        return claim.at_most - found.effect if claim.at_most is not None else found.effect - (claim.at_least or 0.0)
    if isinstance(claim, TrendClaim):
        return found.effect if claim.direction == "increasing" else -found.effect
    assert isinstance(claim, ComparisonClaim)
    if claim.direction == "equal":
        return claim.margin - abs(found.effect)
    return (found.effect if claim.direction == "greater" else -found.effect) - claim.margin


def _labels(claim: Claim, members: Sequence[Member], place: int) -> str:
    """The labels of a member on the axes that the claim names and that vary among its members."""
    named = dict.fromkeys(axis for where in claim.selections().values() for t in tables(where) for axis in t)
    axes = [*named, *(axis for axes in claim.axes().values() for axis in axes if axis not in named)]
    if isinstance(claim, TrendClaim):
        axes = [axis for axis in axes if axis != claim.along]
    varying = [axis for axis in axes if len({member.row.get(axis, "") for member in members}) > 1]
    if "budget" in varying and "eps" in varying:
        varying.remove("eps")
    return ", ".join(members[place].row.get(axis, "") for axis in varying)


def _undefined(gathered: Gathered) -> str:
    if not gathered.undefined:
        return ""
    total = len(gathered.members) + len(gathered.undefined)
    return f"{len(gathered.undefined)} of {total} without a number or an interval: {gathered.undefined[0]}"


def _concerned(claim: Claim, items: Sequence[Item]) -> list[Item]:
    cells: set[str] = set()
    for name in claim.metrics.values():
        for table in wanted(claim):
            cells |= {item.cell for item in planned_matches(spread(items, name), table)}
    return [item for item in items if item.cell in cells]
