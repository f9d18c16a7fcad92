"""Checks of the evidence as pages tell them."""

from __future__ import annotations

from medrobust_leaderboard.site.checks import Told, told


def check(name: str, outcome: str, *, detail: str = "", seed: str = "0", norm: str = "linf") -> dict[str, str]:
    return {"check": name, "outcome": outcome, "detail": detail, "advice": "", "seed": seed, "norm": norm}


def test_what_lacks_the_same_thing_is_told_together() -> None:
    lacking = [check(name, "not checked", detail="no such cell") for name in ("a", "b")]
    assert told([lacking[0], check("c", "passed"), lacking[1]]) == [
        Told(("a", "b"), "linf", "not checked", "no such cell", "", "absent", 2),
        Told(("c",), "linf", "passed", "", "", "good", 1),
    ]


def test_seeds_are_named_where_they_differ() -> None:
    found = told([check("a", "flagged" if seed == "1" else "passed", seed=seed) for seed in "012"])
    assert [(each.outcome, each.where, each.count) for each in found] == [
        ("passed", "linf, seeds 0, 2", 2),
        ("flagged", "linf, seed 1", 1),
    ]


def test_seeds_that_agree_are_not_named_and_numbers_of_different_seeds_stand_apart() -> None:
    (agreed,) = told([check("a", "passed", seed=seed) for seed in "01"])
    assert (agreed.where, agreed.count) == ("linf", 2)
    differing = told([check("a", "passed", seed=seed, detail=f"0.{seed}") for seed in "01"])
    assert [each.where for each in differing] == ["linf, seed 0", "linf, seed 1"]


def test_norms_stand_apart() -> None:
    assert [each.where for each in told([check("a", "passed", norm=norm) for norm in ("linf", "l2")])] == ["linf", "l2"]
