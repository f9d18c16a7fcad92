"""The findings of a paper as checks over records.

`specs` is the form of `claims.toml`; `members` finds the cells and what is missing of them; `estimates` gives effects
with intervals, `effects` those of a claim's members; `borders` says on which side of a claim's border an effect is, and
whether beyond chance; `verdicts` decides; `wording` and `terminal` show it.
"""

from .specs import BoundClaim, Claim, ComparisonClaim, TrendClaim, read_claims
from .terminal import claims_to_terminal
from .verdicts import Finding, explained, unplanned, verdict_on, verdicts_on
from .wording import as_facts, describe, summarize_claims

__all__ = [
    "BoundClaim",
    "Claim",
    "ComparisonClaim",
    "Finding",
    "TrendClaim",
    "as_facts",
    "claims_to_terminal",
    "describe",
    "explained",
    "read_claims",
    "summarize_claims",
    "unplanned",
    "verdict_on",
    "verdicts_on",
]
