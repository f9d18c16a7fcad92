"""`medrobust check`: the rules of a kind as a table, for one plugin, a distribution or a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Program = Callable[..., Any]
BROKEN = Path(__file__).parents[1] / "testing" / "broken" / "attacks.py"


def test_a_sound_plugin_keeps_every_rule(program: Program) -> None:
    told = program("check", "sign")
    assert told.status == 0
    assert told.out.splitlines()[0] == "attack tiny:sign"
    assert "14 rules kept, 0 broken, 2 left out" in told.out
    assert "left out" in told.out
    assert "needs a radius" in told.out


def test_a_broken_one_names_the_rule_and_ends_with_status_1(program: Program) -> None:
    told = program("check", "step", "--set", 'fault="budget"', plugins=(BROKEN,))
    assert told.status == 1
    (line,) = [line for line in told.out.splitlines() if " broken " in line and line.startswith("budget")]
    assert "two classes" in line
    assert "1 broken" in told.out


def test_a_reason_that_many_rules_share_is_told_once(program: Program) -> None:
    told = program("check", "misbehaving")
    assert told.status == 1
    assert told.out.count("broke] down") == 1
    assert "as above" in told.out


def test_programs_read_json(program: Program) -> None:
    (found,) = json.loads(program("check", "sign", "--json").out)
    assert found["plugin"] == "tiny:sign"
    verdicts = {rule["rule"]: rule["verdict"] for rule in found["rules"]}
    assert verdicts["budget"] == "kept"
    assert verdicts["prefixes"] == "left out"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("timidd",), "no plugin is called 'timidd'; did you mean 'timid'?"),
        (("step", "--set", "steps=3"), "attack 'step' has no parameter 'steps'"),
        (("step", "--set", "fault=budget"), "text stands in quotes: --set 'fault=\"budget\"'"),
    ],
)
def test_what_cannot_be_checked_is_an_error(program: Program, arguments: tuple[str, ...], told: str) -> None:
    found = program("check", *arguments, plugins=(BROKEN,))
    assert found.status == 1
    assert told in " ".join(found.err.split())
