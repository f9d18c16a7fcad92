"""The verdict on a claim.

A bound ("at most 1 %") is a statement about the number: a member supports it if its estimate satisfies it, contradicts
it if the estimate violates it significantly, and leaves it undecided between. Comparisons and trends state differences:
a member supports or contradicts them if its difference is significant; a 95 % interval that covers the border leaves
them undecided. Tests are two-sided at level 0.05. Then, by quantifier:

- `all` holds if every member supports it. Each member alone is tested at the full level, as all of them must pass (an
  intersection-union test: Berger 1982, Technometrics 24:295). It does not hold if any member contradicts it, where a
  single one of many may do so by chance: after Holm's correction over the members.
- `most` holds if more than half support it, and does not hold if at least half contradict it, both after Holm's
  correction.
- `average` is one test of the mean.

Cells that differ in the seed alone are one member: the mean over the seeds, whose interval includes how they differ.
A claim of which a part is missing cannot hold; only a contradiction of `all` needs no other part. Where the answer
follows from how a profile was made, the verdict is "by construction", whatever the numbers are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from medrobust.api import Store, holm

from ..labels import Row, tables
from ..profiles import Substitution
from ..selection import Selected
from .borders import Tested, against_border, clearance
from .effects import Gathered, Member, gather
from .estimates import EffectEstimate, average
from .members import (
    Item,
    items_of,
    missing_labels,
    pending,
    planned_matches,
    problems_of,
    spread,
    told_left_out,
    wanted,
    with_records,
)
from .specs import LEVEL, Claim, TrendClaim

Verdict = Literal["holds", "does not hold", "undecided", "by construction", "cannot be tested here"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A claim with its verdict and the numbers behind it.

    Attributes:
        effect: of the average, or of the member that decides: the one that contradicts most clearly, else the least
            supported one (`all`), or the middle one (`most`). A number, a difference, or for a series last minus first.
        decisive: the labels of that member, as far as they vary.
        members: how many were tested.
        supported, contradicted: how many of them speak for the claim and against it.
        n: smallest number of images behind a member.
        missing: what a test would need; empty if nothing.
        undefined: how many members have no number, and why.
        left_out: how many cells decide no claim, and why.
        substituted: whether any record is of data or models that replace the paper's.
        construction: why the answer follows from how the profile was made; empty where it does not.
        explanation: why the claim does not hold here, as far as the profile says.
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
    left_out: str = ""
    substituted: bool = False
    construction: str = ""
    explanation: str = ""

    @property
    def n(self) -> int | None:
        return self.effect.n if self.effect else None


def verdicts_on(
    claims: Iterable[Claim],
    rows: Iterable[Selected],
    store: Store,
    substitutions: Callable[[Row], Sequence[Substitution]],
    by_construction: Mapping[str, str] = MappingProxyType({}),
    left_out: Mapping[str, str] = MappingProxyType({}),
) -> list[Finding]:
    """The verdicts on all claims of a paper, from the entries of a plan and a store.

    Records are read claim by claim, so that no more than one claim's are in memory.

    Args:
        substitutions: those that concern an entry with these labels.
        by_construction: ids of claims whose answer follows from how the profile was made, with the reason.
        left_out: cells that decide no claim, with the reason.
    """
    items, problems = items_of(rows, substitutions, left_out), problems_of(store)
    findings = []
    for claim in claims:
        concerned = _concerned(claim, items)
        loaded = {
            id(item): full for item, full in zip(concerned, with_records(concerned, store, problems), strict=True)
        }
        found = verdict_on(claim, [loaded.get(id(item), item) for item in items])
        reason = by_construction.get(claim.id, "")
        if reason and found.verdict != "cannot be tested here":
            found = replace(found, verdict="by construction", construction=reason)
        findings.append(found)
    return findings


def explained(finding: Finding, explanations: Mapping[str, str]) -> Finding:
    """The verdict with the profile's explanation, if the claim does not hold or is undecided."""
    if finding.verdict not in ("does not hold", "undecided"):
        return finding
    return replace(finding, explanation=explanations.get(finding.claim.id, ""))


def unplanned(claims: Iterable[Claim]) -> list[Finding]:
    """The claims of a paper without a grid: none can be tested, and each says what it needs."""
    return [verdict_on(claim, []) for claim in claims]


def verdict_on(claim: Claim, items: Sequence[Item]) -> Finding:
    """The verdict on one claim, from the items of a plan with their records."""
    missing = missing_labels(claim, items)
    if pending(claim, items):
        return Finding(claim=claim, verdict="cannot be tested here", missing="; ".join(missing))
    gathered = gather(claim, items)
    finding = Finding(
        claim=claim,
        verdict="cannot be tested here",
        members=len(gathered.members),
        missing="; ".join(dict.fromkeys((*missing, *gathered.missing))),
        undefined=_undefined(gathered),
        left_out=told_left_out(claim, items),
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
