"""The stream: attacks that depend on their batch or on global generators give equal results all the same."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medrobust.api import Record, Session, parse_grid
from medrobust.grid.cells import Cell

MakeSession = Callable[..., Session]

PLUGINS = '''
"""Attacks that need more of the host than a stream of random numbers for each image."""

import random
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from medrobust import Attack, Probe, ThreatModel


@dataclass(frozen=True)
class Average(Attack):
    """Moves each image towards the mean of its batch."""

    name: ClassVar[str] = "average"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"}, knowledge="none")
    batch_size: ClassVar[int | None] = 7

    def perturb(self, classifier, images, goal, budget, rng):
        return images + (images.mean(dim=0) - images).clamp(-budget.eps, budget.eps)


@dataclass(frozen=True)
class Careless(Attack):
    """Draws from every global generator there is."""

    name: ClassVar[str] = "careless"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"}, knowledge="none")
    global_rng: ClassVar[bool] = True

    def perturb(self, classifier, images, goal, budget, rng):
        share = (torch.rand(()) + np.random.rand() + random.random()) / 3
        return (images + budget.eps * share * torch.randn_like(images).sign()).clamp(0, 1)


@dataclass(frozen=True)
class Some(Probe):
    """Images out of order."""

    name: ClassVar[str] = "some"

    def select(self, labels, count):
        return np.array([20, 3, 11, 4])

    def measure(self, classifier, images, adversarial):
        return {"clean": images.numpy(), "adversarial": adversarial.numpy()}
'''

GRID = """
[[grid]]
dataset = "textures"
model = "tiny-net"
attack = ["average", "careless"]
budget = "linf:16/255"
probe = "some"
"""


@pytest.fixture
def ran(session: MakeSession, tmp_path: Path) -> Callable[[str], tuple[Session, dict[str, tuple[Cell, Record]]]]:
    file = tmp_path / "odd.py"
    file.write_text(PLUGINS)

    def run(name: str) -> tuple[Session, dict[str, tuple[Cell, Record]]]:
        made = session(tmp_path / name, files=(file,))
        plan = made.plan(parse_grid(tomllib.loads(GRID), made.registry))
        outcome = made.run(plan)
        assert outcome.complete, outcome.problems
        records = dict(made.store.records(list(plan.cells)))
        return made, {c.root.name if c.root else "clean": (c, records[i]) for i, c in plan.cells.items()}

    return run


def test_two_fresh_stores_agree(ran: Callable[[str], tuple[Session, dict[str, tuple[Cell, Record]]]]) -> None:
    np.random.seed(1)  # noqa: NPY002 - whatever state the process is in
    _, first = ran("one")
    np.random.seed(2)  # noqa: NPY002
    made, second = ran("two")
    for name, (_, record) in first.items():
        assert np.array_equal(record.adversarial, second[name][1].adversarial), name
    frame = made.store.cells(["attack", "batch_size"]).set_index("attack")["batch_size"]
    assert frame["average"] == 7
    assert frame["careless"] == 32


def test_a_probe_sees_the_images_that_stood_in_the_batches(
    ran: Callable[[str], tuple[Session, dict[str, tuple[Cell, Record]]]],
) -> None:
    made, found = ran("probed")
    for name in ("average", "careless"):
        cell, record = found[name]
        probe = next(iter(made.plan(parse_grid(tomllib.loads(GRID), made.registry)).probes.values()))[1]
        kept = made.store.load_tensors(made.store.artifact(cell.probe_id(probe)))
        assert kept["positions"].tolist() == [20, 3, 11, 4]
        linf = (kept["adversarial"] - kept["clean"]).abs().flatten(1).amax(dim=1).numpy()
        np.testing.assert_allclose(linf, record.linf[[20, 3, 11, 4]], atol=1e-6)
