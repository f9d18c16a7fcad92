"""Verdicts in words, in the terminal and on the page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, get_args

import pytest
from rich.console import Console

from medrobust_leaderboard.claims import (
    Finding,
    as_facts,
    claims_to_terminal,
    describe,
    summarize_claims,
    verdict_on,
)
from medrobust_leaderboard.claims.members import Item
from medrobust_leaderboard.claims.terminal import STYLES
from medrobust_leaderboard.claims.verdicts import Verdict
from medrobust_leaderboard.page import VERDICTS, render_page

Make = Any
"""The functions of conftest.py."""


def findings(make: Make) -> list[Finding]:
    where = {"model": "net*"}
    return [
        verdict_on(make.bound(at_most=0.05), make.models(0)),
        verdict_on(make.bound(id="c2", at_most=0.05), make.models(1)),
        verdict_on(make.bound(id="c3", at_most=0.05, where=where), make.models(0, 100)),
        verdict_on(make.bound(id="c4", at_most=0.05), make.models(12)),
        verdict_on(make.bound(id="c5", at_most=0.05, text="ζ " * 60), []),
    ]


def printed(found: Sequence[Finding], width: int, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    claims_to_terminal(found, Console(file=stream, width=width, legacy_windows=False))
    stream.flush()
    content = stream.buffer
    assert isinstance(content, io.BytesIO)
    return content.getvalue().decode(encoding)


def test_the_summary_counts_verdicts_in_words(make: Make) -> None:
    assert summarize_claims(findings(make)) == (
        "5 claims: 2 hold, 1 does not hold, 1 undecided, 1 cannot be tested here"
    )
    assert summarize_claims(findings(make)[:1]) == "1 claim: 1 holds"


def test_a_verdict_is_told_with_effect_interval_n_and_section(make: Make) -> None:
    third = findings(make)[2]
    assert describe(third) == [
        "strongest contradiction of 2 (net1): 50.0 % [43.1, 56.9]",
        "claimed: at most 5.0 %",
        "supported by 1 of 2, contradicted by 1",
        "n = 200",
        "section 4.2",
    ]


def test_differences_are_told_in_points(make: Make) -> None:
    finding = verdict_on(make.comparison(margin=0.3), [make.item(40), make.item(140, attack="FGSM")])
    assert describe(finding)[0].startswith("−50.0 points [−5")
    assert describe(finding)[1] == "claimed: below −30.0 points"


@pytest.mark.parametrize("width", [80, 100])
def test_the_terminal_keeps_its_width(make: Make, width: int) -> None:
    text = printed(findings(make), width)
    assert max(map(len, text.splitlines())) <= width
    assert "c3  does not hold" in text
    assert "5 claims: 2 hold, 1 does not hold" in text


def test_a_terminal_without_unicode_gets_ascii(make: Make) -> None:
    assert "zeta" in printed(findings(make), 80, "ascii")


def test_verdicts_on_substitutes_say_so(make: Make) -> None:
    stand_in = Item(**{**vars(make.item(0)), "substituted": True})
    finding = verdict_on(make.bound(at_most=0.5), [stand_in])
    assert finding.substituted
    assert describe(finding)[-1] == "section 4.2; on substitutes"
    assert "about the substitutes" in printed([finding], 80)
    assert "substitutes" not in printed(findings(make), 80)


def test_page_and_terminal_know_the_same_verdicts() -> None:
    assert list(STYLES) == list(VERDICTS) == list(get_args(Verdict))


def test_the_page_takes_findings(make: Make) -> None:
    page = render_page("Title", "Intro", [], claims=[as_facts(finding) for finding in findings(make)])
    assert "strongest contradiction of 2 (net1): 50.0 %" in page
    assert "needs the paper&#39;s grid" in page
    assert "<strong>5 claims</strong> of the paper: holds (2), does not hold (1)" in page


def test_a_reading_is_told_where_it_was_tested(make: Make) -> None:
    claim = make.bound(at_most=0.05, reading="Few is our word.")
    assert describe(verdict_on(claim, make.models(0)))[-1] == "interpretation: Few is our word."
    assert "interpretation" not in " ".join(describe(verdict_on(claim, [])))
