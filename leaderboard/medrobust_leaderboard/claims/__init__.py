"""The findings of a paper as checks over records.

`specs` is the form of `claims.toml`; `members` finds the cells and what is missing of them; `estimates` gives effects
with intervals and p values, `effects` those of a claim's members; `verdicts` decides; `wording` and `terminal` tell.
"""

from .specs import Bound, Claim, Comparison, Trend, read_claims
from .terminal import claims_to_terminal
from .verdicts import Finding, judge, unplanned, verdict_on
from .wording import as_entry, describe, summarize_claims

__all__ = [
    "Bound",
    "Claim",
    "Comparison",
    "Finding",
    "Trend",
    "as_entry",
    "claims_to_terminal",
    "describe",
    "judge",
    "read_claims",
    "summarize_claims",
    "unplanned",
    "verdict_on",
]
