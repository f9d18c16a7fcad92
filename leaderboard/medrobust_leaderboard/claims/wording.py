"""Verdicts in words, for terminal and page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from medrobust.api import METRICS

from ..render.numbers import MINUS
from .specs import BoundClaim, Claim, ComparisonClaim
from .verdicts import Finding, Verdict

ON_SUBSTITUTES: Final = "On substituted data or models, a verdict is about the substitutes, not about the paper's own."

_FORMS: Final[Mapping[Verdict, tuple[str, str]]] = {
    "holds": ("holds", "hold"),
    "does not hold": ("does not hold", "do not hold"),
    "undecided": ("undecided", "undecided"),
    "by construction": ("by construction", "by construction"),
    "cannot be tested here": ("cannot be tested here", "cannot be tested here"),
}


def summarize_claims(findings: Sequence[Finding]) -> str:
    """Such as "7 claims: 3 hold, 1 does not hold, 2 undecided, 1 cannot be tested here"."""
    counts = Counter(finding.verdict for finding in findings)
    parts = [f"{counts[v]} {forms[counts[v] != 1]}" for v, forms in _FORMS.items() if counts[v]]
    claims = "1 claim" if len(findings) == 1 else f"{len(findings)} claims"
    return f"{claims}: {', '.join(parts)}" if parts else claims


def describe(finding: Finding) -> list[str]:
    """The numbers behind a verdict: effect and interval, what is claimed, counts, n, section, what is missing."""
    parts = []
    if finding.effect is not None:
        parts.append(f"{effect_text(finding)} {interval_text(finding)}".strip())
        parts.append(border_text(finding.claim))
    if finding.members > 1:
        against = f", contradicted by {finding.contradicted}" if finding.contradicted else ""
        parts.append(f"supported by {finding.supported} of {finding.members}{against}")
    if finding.n is not None:
        parts.append(size_text(finding))
    parts.append(section_text(finding))
    if finding.undefined and finding.effect is not None:
        parts.append(finding.undefined)
    if finding.left_out:
        parts.append(finding.left_out)
    if finding.construction:
        parts.append(f"counts neither way: {finding.construction}")
    if finding.explanation:
        parts.append(f"here: {finding.explanation}")
    if finding.missing:
        parts.append(f"needs {finding.missing}")
    if finding.claim.reading and finding.effect is not None:
        parts.append(f"interpretation: {finding.claim.reading}")
    return parts


def effect_text(finding: Finding) -> str:
    """The effect with what it is of; empty where there is none."""
    if finding.effect is None or finding.effect.effect is None:
        return ""
    claim = finding.claim
    number = _number(finding.effect.effect, claim)
    if finding.members == 1:
        return number
    if claim.quantifier == "average":
        return f"mean of {finding.members}: {number}"
    which = "median"
    if claim.quantifier == "all":
        which = "strongest contradiction" if finding.contradicted else "weakest"
    place = f" ({finding.decisive})" if finding.decisive else ""
    return f"{which} of {finding.members}{place}: {number}"


def interval_text(finding: Finding) -> str:
    """The 95 % interval of the effect; empty where there is none."""
    found = finding.effect
    if found is None or found.low is None or found.high is None:
        return ""
    low, high = (_number(end, finding.claim, unit=False) for end in (found.low, found.high))
    return f"[{low}, {high}]"


def size_text(finding: Finding) -> str:
    """Images and, where there are several, seeds."""
    seeds = finding.effect.seeds if finding.effect else 1
    return f"n = {finding.n}" + (f", {seeds} seeds" if seeds > 1 else "")


def border_text(claim: Claim) -> str:
    """What a claim says about its effect."""
    if isinstance(claim, BoundClaim):
        at_most = claim.at_most is not None
        border = claim.at_most if claim.at_most is not None else claim.at_least or 0.0
        return f"claimed: {'at most' if at_most else 'at least'} {_number(border, claim)}"
    if not isinstance(claim, ComparisonClaim):
        return f"claimed: {'above' if claim.direction == 'increasing' else 'below'} 0"  # type: ignore[attr-defined]
    margin = _number(claim.margin, claim).lstrip("+")
    if claim.direction == "equal":
        return f"claimed: within {margin} of 0"
    sign = "" if not claim.margin else "+" if claim.direction == "greater" else MINUS
    return f"claimed: {'above' if claim.direction == 'greater' else 'below'} {sign}{margin if claim.margin else 0}"


def section_text(finding: Finding) -> str:
    """Where the paper says it, and whether substitutes were tested."""
    section = finding.claim.section
    where = f"section {section}" if section[:1].isdigit() else section
    return f"{where}; on substitutes" if finding.substituted else where


def as_facts(finding: Finding) -> dict[str, object]:
    """A finding as the page takes it."""
    size = size_text(finding).removeprefix("n = ") if finding.n is not None else None
    several = f"{size} (supported by {finding.supported} of {finding.members})" if finding.members > 1 else size
    effect = effect_text(finding)
    return {
        "id": finding.claim.id,
        "text": finding.claim.text,
        "section": section_text(finding),
        "verdict": finding.verdict,
        "effect": effect,
        "interval": f"{interval_text(finding)}, {border_text(finding.claim)}" if effect else "",
        "n": several,
        "missing": finding.missing,
        "left_out": finding.left_out,
        "construction": finding.construction,
        "explanation": finding.explanation,
    }


def any_substituted(findings: Iterable[Finding]) -> bool:
    """Whether any verdict is about substitutes."""
    return any(finding.substituted for finding in findings)


def _number(value: float, claim: Claim, *, unit: bool = True) -> str:
    """Fractions in percent, differences of them in points; other units as they are, to three digits."""
    signed = "" if isinstance(claim, BoundClaim) else "+"
    if METRICS[claim.metric].unit == "fraction" if claim.metric in METRICS else False:
        words = (" %" if isinstance(claim, BoundClaim) else " points") if unit else ""
        return f"{100 * value:{signed}.1f}".replace("-", MINUS) + words
    return f"{value:{signed}.3f}".replace("-", MINUS)
