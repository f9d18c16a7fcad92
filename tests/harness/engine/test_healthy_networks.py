"""Networks of several kinds and seeds without a fault: evidence flags none of them."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

import pytest

from medrobust.api import Session, measure

pytestmark = [pytest.mark.numerical, pytest.mark.long]

GRID = """
[[grid]]
dataset = ["shades", { name = "shades", contrast = 60, wobble = 8 }]
model = [
    { name = "plain", recipe = { epochs = 25 } },
    { name = "plain", dropout = 0.1, recipe = { epochs = 25, learning_rate = 5e-3 } },
    { name = "small-cnn", recipe = { epochs = 25, learning_rate = 5e-3, batch_size = 16 } },
]
attack = ["none", "fgsm", "pgd"]
budget = ["linf:8/255", "linf:64/255"]
seed = [0, 1, 2, 3]
"""
NETWORKS = 24


def test_no_healthy_network_is_flagged(tmp_path: Path, unusual_models: Path) -> None:
    session = Session(tmp_path / "store", (unusual_models,), device="cpu", workers=1)
    plan = session.plan(tomllib.loads(GRID), evidence=True)
    outcome = session.run(plan)
    assert outcome.complete, outcome.problems
    rows = session.evidence(plan)
    clean = {cell for cell, planned in plan.cells.items() if planned.attack is None}
    accuracies = [measure("accuracy", record).scalar for _, record in session.store.records(clean)]
    assert min(accuracies) > 0.8, "a network that has not learnt its task is not healthy"
    assert len({row["target"] for row in rows}) == NETWORKS
    flagged = [row for row in rows if row["outcome"] == "flagged"]
    assert [(row["model"], row["dataset"], row["seed"], row["check"], row["detail"]) for row in flagged] == []
    # A check that looks at nothing flags nothing.
    looked = Counter(row["check"] for row in rows if row["outcome"] == "passed")
    assert set(looked) == {row["check"] for row in rows} - {"white-box at least as strong as transfer"}
    assert min(looked.values()) >= NETWORKS - 2
