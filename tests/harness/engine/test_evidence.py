"""Planted cases, run for real: each is flagged by name, and an honest model with an honest attack is not."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medrobust.api import Plan, Session, parse_grid
from medrobust.results.evidence import ADVICE

pytestmark = pytest.mark.numerical

MakeSession = Callable[..., Session]

BLIND = "gradients are neither zero nor NaN"
LARGE = "a very large eps reaches about zero"
NOISE = "the attack beats noise"
RANDOM = "forward passes are deterministic"
LOGITS = "outputs are logits"
ZERO = "eps 0 equals clean"
BATCH = "logits do not depend on the batch"
SCALE = "inputs are normalised once"
ORDER = "outputs are in the order of the classes"
TRANSFER = "white-box at least as strong as transfer"

GRID = """
[[grid]]
dataset = "shades"
model = "plain"
defense = [
    "none",
    "declared",
    { name = "tampered", fault = [
        "saturated", "noisy", "quantised", "probabilities", "sine", "permuted", "batch",
    ] },
]
attack = ["fgsm", { name = "pgd", steps = 12, random_start = false }]
budget = "linf:24/255"
[[grid]]
dataset = "shades"
model = "plain"
defense = "tampered"
attack = "fgsm"
budget = "linf:24/255"
surrogate = { defense = "none" }
[[grid]]
dataset = "shades"
model = { name = "plain", instance = 1 }
attack = "idle"
budget = "linf:24/255"
[[grid]]
dataset = "levels"
model = { name = "plain", recipe = { epochs = 12 } }
defense = ["none", { name = "tampered", fault = "normalised" }]
attack = { name = "pgd", steps = 12 }
budget = "linf:24/255"
"""

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, unusual_models: Path) -> tuple[Session, Plan, Rows]:
    session = Session(tmp_path_factory.mktemp("evidence") / "store", (unusual_models,), device="cpu", workers=1)
    plan = session.plan(parse_grid(tomllib.loads(GRID), session.registry), evidence=True)
    outcome = session.run(plan)
    assert outcome.complete, outcome.problems
    return session, plan, session.evidence(plan)


def flags(rows: Rows, defense: str, model: str = "plain") -> dict[str, str]:
    """Outcomes of the checks of one model, by name."""
    mine = [r for r in rows if r["defense"] == defense and r["model"] == model]
    assert len(mine) == len(ADVICE)
    return {r["check"]: r["outcome"] for r in mine}


def flagged(rows: Rows, defense: str, model: str = "plain") -> set[str]:
    return {name for name, outcome in flags(rows, defense, model).items() if outcome == "flagged"}


def test_an_honest_model_and_an_honest_attack_are_flagged_nowhere(ran: tuple[Session, Plan, Rows]) -> None:
    # Nothing was transferred to it.
    outcomes = flags(ran[2], "none")
    assert outcomes.pop(TRANSFER) == "not checked"
    assert set(outcomes.values()) == {"passed"}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("saturated", {BLIND, LARGE, NOISE, TRANSFER}),
        ("noisy", {RANDOM, ZERO}),
        ("quantised", {BLIND, LARGE, NOISE}),
        ("probabilities", {LOGITS}),
        ("sine", {LARGE, NOISE}),
        ("permuted", {ORDER}),
        ("batch", {BATCH}),
    ],
)
def test_each_planted_model_is_found_out(ran: tuple[Session, Plan, Rows], fault: str, expected: set[str]) -> None:
    name = "tampered" if fault == "saturated" else f"tampered(fault={fault})"
    assert flagged(ran[2], name) == expected


def test_a_second_normalisation_is_found_out(ran: tuple[Session, Plan, Rows]) -> None:
    (model,) = {r["model"] for r in ran[2] if r["dataset"] == "levels"}
    assert flagged(ran[2], "none", model) == set()
    assert flagged(ran[2], "tampered(fault=normalised)", model) == {SCALE}
    (row,) = (r for r in ran[2] if r["check"] == SCALE and r["outcome"] == "flagged")
    assert "a normalisation by ImageNet's mean and deviation undone" in row["detail"]


def test_a_model_that_declares_its_randomness_is_flagged_nowhere(ran: tuple[Session, Plan, Rows]) -> None:
    assert flagged(ran[2], "declared") == set()
    (row,) = (r for r in ran[2] if r["defense"] == "declared" and r["check"] == RANDOM)
    assert (row["outcome"], row["detail"]) == ("passed", "declared random")


def test_an_attack_that_does_nothing_is_found_out(ran: tuple[Session, Plan, Rows]) -> None:
    assert flagged(ran[2], "none", "plain(instance=1)") == {NOISE, LARGE}
    (row,) = (r for r in ran[2] if r["model"] == "plain(instance=1)" and r["check"] == NOISE)
    assert row["detail"] == "idle at 24/255 changes no image"


def test_a_flag_says_what_to_do(ran: tuple[Session, Plan, Rows]) -> None:
    assert all(bool(r["advice"]) == (r["outcome"] == "flagged") for r in ran[2])


def test_it_is_kept_in_the_store(ran: tuple[Session, Plan, Rows]) -> None:
    session, plan, rows = ran
    kept = session.store.rows("evidence")
    assert len(kept) == len(rows) == len(ADVICE) * 12
    again = session.evidence(plan)
    assert again == rows
    assert len(session.store.rows("evidence")) == len(rows)


def test_without_its_cells_little_is_checked_and_nothing_breaks(session: MakeSession, unusual_models: Path) -> None:
    made = session(files=(unusual_models,))
    text = """
        [[grid]]
        dataset = "shades"
        model = "plain"
        attack = ["one-for-all", "sign", { name = "growing", chunks = 3 }]
        budget = ["linf:0.5@[0,255]", "linf:24/255"]
        goal = ["untargeted", "target:left"]
        """
    plan = made.plan(parse_grid(tomllib.loads(text), made.registry))
    assert made.run(plan).complete
    outcomes = {r["check"]: r["outcome"] for r in made.evidence(plan)}
    # Half a grey level is no large radius, and three chunks of a universal attack are no iterations on an image.
    assert outcomes[LARGE] == "not checked"
    assert outcomes["iterative at least as strong as single-step"] == "not checked"
    assert outcomes[ZERO] == outcomes[NOISE] == "not checked"
    assert outcomes[BLIND] == "passed"


def test_images_without_labels_have_no_robust_accuracy_to_believe(session: MakeSession, unusual_models: Path) -> None:
    made = session(files=(unusual_models,))
    text = """
        [define]
        unlabelled = { name = "shades", labelled = false }
        [[grid]]
        dataset = "shades"
        model = "plain"
        attack = "sign"
        goal = "predicted"
        budget = "linf:8/255"
        evaluate_on = "@unlabelled"
        """
    plan = made.plan(parse_grid(tomllib.loads(text), made.registry), evidence=True)
    assert made.run(plan).complete
    assert {r["outcome"] for r in made.evidence(plan) if "gradient" not in r["check"]} <= {"passed", "not checked"}
