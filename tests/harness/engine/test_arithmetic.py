"""Crafting in the precision that `--precision` names: near enough to float32, while verdicts are always float32.

    pytest --precision bfloat16

runs these tests, and others that take the fixture `precision`, in bfloat16. Processors that lack it emulate it, at a
tenth of the speed or less, so the tests are few and small.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medrobust import Arithmetic, Budget, SampleRNG, Untargeted
from medrobust.api import Record, Session, parse_grid
from medrobust.engine.acceleration import Acceleration
from medrobust.engine.models.classifier import TorchClassifier
from medrobust_attacks import PGD

pytestmark = pytest.mark.numerical

Images = tuple[Tensor, Tensor]
MakeSession = Callable[..., Session]

GRID = """
[[grid]]
dataset = { name = "textures", size = 10, channels = 3 }
model = "tiny-net"
attack = ["sign", { name = "steps", steps = [1, 4] }, "hum", { name = "halved", of = "sign" }]
budget = "linf:16/255"
"""
GRADIENT = ("sign", "steps", "steps(steps=1)", "halved")


def classifier(module: nn.Module, images: Tensor, arithmetic: Arithmetic) -> TorchClassifier:
    return TorchClassifier(module, "multiclass", 3, Acceleration(), images[:8], arithmetic=arithmetic)


def test_logits_and_gradients_are_near_those_of_the_module(
    trained: nn.Module, shadows: Images, precision: Arithmetic
) -> None:
    images, labels = shadows[0][:48], shadows[1][:48]
    plain, seen = (classifier(trained, images, p) for p in ("float32", precision))  # type: ignore[arg-type]
    expected, found = (c.gradient(images, Untargeted(labels).loss) for c in (plain, seen))
    assert found.logits.dtype == found.gradient.dtype == found.loss.dtype == torch.float32
    exact = precision == "float32"
    # Measured over six seeds and two instruction sets: logits in bfloat16 differ by 0.028 to 0.038,
    # and 0.979 to 0.989 of the signs agree.
    off = float((found.logits - trained(images)).abs().max())
    assert off < (1e-4 if exact else 0.1)
    same = float((found.gradient.sign() == expected.gradient.sign()).float().mean())
    assert same == 1.0 if exact else 0.95 < same < 1.0
    assert torch.equal(seen.confirm(images), trained(images)), "verdicts are float32"


def test_robust_accuracy_is_that_of_float32(trained: nn.Module, shadows: Images, precision: Arithmetic) -> None:
    images, labels = shadows[0][:480], shadows[1][:480]
    attack, budget = PGD(steps=10, random_start=False), Budget("linf", 6 / 255)

    def robust(arithmetic: Arithmetic) -> float:
        rng = SampleRNG.for_ids(0, [str(i) for i in range(len(images))])
        goal = Untargeted(labels)
        adversarial = attack.perturb(classifier(trained, images, arithmetic), images, goal, budget, rng)
        return float((trained(adversarial).argmax(1) == labels).float().mean())

    # Measured over six seeds of the network and two instruction sets: bfloat16 differs by 0.006 at most.
    assert robust(precision) == pytest.approx(robust("float32"), abs=0.02)


def test_a_grid_crafts_in_the_precision_it_names(session: MakeSession, precision: Arithmetic) -> None:
    made = session()
    records: dict[str, dict[str, Record]] = {}
    for key in ("float32", precision):
        plan = made.plan(parse_grid(tomllib.loads(GRID + f'precision = "{key}"'), made.registry))
        assert made.run(plan).complete
        names = {e.cell.id: e.row()["attack"] for e in plan.entries if e.cell is not None}
        records[key] = {names[cell]: record for cell, record in made.store.records(list(plan.cells))}
        attacked = made.store.cells(["precision"]).loc[[c for c in plan.cells if names[c] != "none"]]
        assert set(attacked["precision"]) == {key}
    plain, found = records["float32"], records[precision]
    assert plain.keys() == found.keys()
    for name in ("none", "hum"):  # neither asks for a gradient, and both are judged in float32
        assert np.array_equal(plain[name].adversarial, found[name].adversarial)
    assert all(record.linf.max() <= 16 / 255 + 1e-6 for record in found.values())
    moved = max(np.abs(plain[name].adversarial - found[name].adversarial).max() for name in GRADIENT)
    # Measured over six seeds and two instruction sets: 0.004 to 0.011 in bfloat16.
    assert moved == 0 if precision == "float32" else 5e-4 < moved < 0.05
    cells = made.store.cells()
    assert len(cells) == (6 if precision == "float32" else 11), "the clean record is shared, nothing else"
