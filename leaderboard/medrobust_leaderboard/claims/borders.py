"""An effect against the border of a claim: which side it is on, and whether beyond chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from scipy import optimize, special

from .estimates import EffectEstimate, student
from .specs import LEVEL, BoundClaim, Claim, ComparisonClaim, TrendClaim

Z: Final = 1.959963984540054
"""Half width of a 95 % interval in standard errors."""
ROUNDING: Final = 1e-9
"""Differences that come of rounding, as in a mean of equal numbers."""
SMALLEST: Final = 1e-12
"""P values are not followed below it."""


@dataclass(frozen=True)
class Tested:
    """P values of the two ways a member can speak; at most one is below 1.

    Attributes:
        supports: small where the effect is significantly on the claim's side of the border; of a bound, 0 where the
            estimate satisfies it and 1 where it does not.
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


def bounded(found: EffectEstimate, clear: float, border: float) -> Tested:
    """Whether an estimate satisfies a bound, by `clear`, or violates it beyond chance."""
    if clear >= -ROUNDING:
        return Tested(0.0, 1.0)
    return Tested(1.0, _p(found, border))


def against_border(claim: Claim, found: EffectEstimate) -> Tested:
    """One effect against the border of a claim.

    A bound is a statement about the number itself: the estimate satisfies it or does not, and only a violation has to
    be significant. A comparison or a trend states a difference, which has to be significant either way.
    """
    if isinstance(claim, BoundClaim):
        border = claim.at_least if claim.at_most is None else claim.at_most
        assert border is not None
        return bounded(found, clearance(claim, found), border)
    if isinstance(claim, TrendClaim):
        return above(found, 0.0) if claim.direction == "increasing" else below(found, 0.0)
    assert isinstance(claim, ComparisonClaim)
    if claim.direction == "equal":
        return within(found, claim.margin)
    return above(found, claim.margin) if claim.direction == "greater" else below(found, -claim.margin)


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


def _p(found: EffectEstimate, border: float) -> float:
    """The level at which the interval's end meets the border: under 5 % where the 95 % interval leaves it out.

    The side of the interval towards the border is taken as that of a normal distribution, and its part that comes of
    differing seeds as that of Student's t, whose tails are far heavier for a few seeds.
    """
    assert found.effect is not None
    if found.low is None or found.high is None:
        # Nothing says how far chance reaches.
        return 1.0
    if border == 0 and found.p is not None:
        return found.p
    half = found.effect - found.low if found.effect > border else found.high - found.effect
    if half <= 0:
        # An interval without width says nothing of chance; a test of 0, where there was one, does.
        return 0.0 if found.p is None else found.p
    distance = abs(found.effect - border)
    if found.spread == 0:
        return math.erfc(Z * distance / half / math.sqrt(2))
    return _p_over_seeds(distance, half, found.spread, found.seeds - 1)


def _p_over_seeds(distance: float, half: float, spread: float, degrees: int) -> float:
    images = math.sqrt(max(0.0, half**2 - (student(LEVEL, degrees) * spread) ** 2)) / Z

    def beyond(level: float) -> float:
        return math.hypot(student(level, degrees) * spread, float(special.ndtri(level / 2)) * images) - distance

    if beyond(SMALLEST) <= 0:
        return SMALLEST
    return float(optimize.brentq(beyond, SMALLEST, 1.0, xtol=SMALLEST))
