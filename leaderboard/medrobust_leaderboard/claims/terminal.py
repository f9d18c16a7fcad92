"""Claims in the terminal: verdict and sentence, and below it the numbers behind the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from ..render.terminal import _plain as plain
from .verdicts import Finding, Verdict
from .wording import ON_SUBSTITUTES, any_substituted, describe, summarize_claims

STYLES: Final[Mapping[Verdict, str]] = {
    "holds": "green",
    "does not hold": "red",
    "undecided": "yellow",
    "by construction": "cyan",
    "cannot be tested here": "dim",
}
INDENT: Final = 4


def claims_to_terminal(findings: Sequence[Finding], console: Console) -> None:
    """Print every claim with its verdict, and a summary line, within the console's width."""
    if not findings:
        return
    console.print(Text("Claims of the paper", style="bold"))
    for finding in findings:
        head = Text.assemble(
            (f"{finding.claim.id:<{INDENT - 1}} ", "bold"),
            (finding.verdict, f"bold {STYLES[finding.verdict]}"),
        )
        console.print(head)
        console.print(Padding(Text(plain(finding.claim.text, console)), (0, 0, 0, INDENT)))
        console.print(Padding(Text(plain(" | ".join(describe(finding)), console), style="dim"), (0, 0, 0, INDENT)))
    console.print()
    console.print(Text(summarize_claims(findings), style="bold"))
    if any_substituted(findings):
        console.print(Text(ON_SUBSTITUTES, style="dim"))
