"""Float32 is IEEE float32 wherever a step computes, and global generators are seeded and given back."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from medrobust import Attack, Budget, Classifier, Goal, SampleRNG, ThreatModel
from medrobust.api import Session, parse_grid
from medrobust.engine.numerics import float32_is_ieee, global_seed, ieee_float32

MakeSession = Callable[..., Session]
SEEN: list[bool] = []


@dataclass(frozen=True)
class Looking(Attack):
    """Changes nothing and looks at the arithmetic around it."""

    name: ClassVar[str] = "looking"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        SEEN.append(float32_is_ieee())
        return images


@pytest.fixture
def coarse() -> Iterator[None]:
    """A process whose owner allows TF32 and bfloat16 in the place of float32."""
    switches = [(torch.backends.cuda.matmul, "tf32"), (torch.backends.mkldnn.matmul, "bf16")]
    before = [getattr(owner, "fp32_precision", None) for owner, _ in switches]
    if None in before:
        pytest.skip("this torch has one switch only")
    for owner, value in switches:
        owner.fp32_precision = value
    yield
    for (owner, _), value in zip(switches, before, strict=True):
        owner.fp32_precision = value


def test_a_step_computes_in_ieee_float32_whatever_its_process_allows(
    session: MakeSession, coarse: None, tiny: Path
) -> None:
    SEEN.clear()
    made = session()
    import sys

    made.registry.add(sys.modules[__name__], "looking", "0", bundled=False)
    grid = {"grid": [{"dataset": "textures", "model": "tiny-net", "attack": "looking", "budget": "linf:1/255"}]}
    assert made.run(made.plan(parse_grid(grid, made.registry))).complete
    assert SEEN
    assert all(SEEN)
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"


def test_the_switches_are_off_inside_and_as_they_were_outside(coarse: None) -> None:
    with ieee_float32():
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        assert torch.backends.cudnn.conv.fp32_precision == "ieee"
        assert torch.backends.mkldnn.matmul.fp32_precision == "ieee"
    assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"


def test_global_generators_draw_by_the_seed_and_go_on_as_if_nothing_had_been_drawn() -> None:
    def draw() -> tuple[float, float, float]:
        return float(torch.rand(())), float(np.random.rand()), random.random()  # noqa: NPY002

    torch.manual_seed(0), np.random.seed(0), random.seed(0)  # noqa: NPY002
    first = draw()
    torch.manual_seed(0), np.random.seed(0), random.seed(0)  # noqa: NPY002
    inner = []
    for _ in range(2):
        with global_seed(5):
            inner.append(draw())
    assert inner[0] == inner[1] != first
    assert draw() == first


def test_an_executor_that_the_project_does_not_know_runs_a_grid(
    session: MakeSession, tmp_path: Path, tiny: Path, misbehaving: Path
) -> None:
    text = {"grid": [{"dataset": "textures", "model": "tiny-net", "attack": ["sign", "hum"], "budget": "linf:9/255"}]}
    own = session(tmp_path / "own")
    assert own.run(own.plan(parse_grid(text, own.registry))).complete
    with ThreadPoolExecutor(2) as executor:
        given = Session(tmp_path / "given", (tiny, misbehaving), device="cpu", workers=2, executor=executor)
        plan = given.plan(parse_grid(text, given.registry))
        assert given.run(plan).complete
        executor.submit(int).result()  # it is still open: who made it closes it
    records = dict(own.store.records(list(plan.cells)))
    assert len(records) == 3
    for cell, record in given.store.records(list(plan.cells)):
        assert np.array_equal(record.adversarial, records[cell].adversarial)
