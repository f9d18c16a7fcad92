"""Crafting in batches: their size follows from the model alone, and memory that ends costs no result."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from medrobust.api import Outcome, Record, Session, parse_grid
from medrobust.engine.crafting.batches import (
    CACHE_BYTES,
    DEVICE_BYTES,
    USUAL,
    USUAL_BYTES,
    batch_size_for,
    out_of_memory,
)

pytestmark = pytest.mark.numerical

MakeSession = Callable[..., Session]
Ran = tuple[Outcome, dict[str, Record], Session]


@pytest.mark.parametrize(
    ("device", "limit", "most", "least"), [("cpu", CACHE_BYTES, 256, USUAL), ("cuda:0", DEVICE_BYTES, 1024, 8)]
)
def test_a_batch_is_a_power_of_two_that_fits(device: str, limit: int, most: int, least: int) -> None:
    sizes = [batch_size_for(n, device) for n in (0, 1, limit // 100, limit // 9, 1000 * limit)]
    assert sizes == [most, most, 64, least, 8]
    assert all(size & (size - 1) == 0 for size in sizes)
    for n in (limit // 100, limit // 70):
        assert n * batch_size_for(n, device) <= limit < 2 * n * batch_size_for(n, device)


def test_a_large_network_on_a_cpu_gets_fewer_images_only_where_memory_is_short() -> None:
    assert [batch_size_for(USUAL_BYTES // n, "cpu") for n in (64, 32, 31, 16, 8, 4)] == [32, 32, 16, 16, 8, 8]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("can allocate"), False),
    ],
)
def test_it_knows_when_memory_has_ended(error: BaseException, expected: bool) -> None:
    assert out_of_memory(error) is expected


GRID = """
[[grid]]
dataset = "shades"
model = "plain"
budget = "linf:40/255"
"""


def run(made: Session, text: str) -> Ran:
    plan = made.plan(parse_grid(tomllib.loads(text), made.registry))
    outcome = made.run(plan)
    named = {c.attack.name if c.attack else "clean": c.id for c in plan.cells.values()}
    records = dict(made.store.records(list(plan.cells)))
    return outcome, {name: records[cell] for name, cell in named.items() if cell in records}, made


def equal(first: Record, second: Record) -> None:
    assert first.ids.tolist() == second.ids.tolist()
    np.testing.assert_allclose(first.adversarial, second.adversarial, atol=1e-4)
    assert np.array_equal(first.adversarial.argmax(1), second.adversarial.argmax(1))
    np.testing.assert_allclose(first.l2, second.l2, atol=1e-5)


@pytest.mark.parametrize("error", ["cuda", "cpu", "python"])
@pytest.mark.parametrize("stop", ["full", "success"])
def test_half_a_batch_gives_equal_records(session: MakeSession, unusual_models: Path, error: str, stop: str) -> None:
    text = f"""{GRID}
        stop = "{stop}"
        attack = [
            {{ name = "greedy", steps = [1, 3] }},
            {{ name = "greedy", steps = [1, 3], room = 9, error = "{error}" }},
        ]
        """
    outcome, records, made = run(session(files=(unusual_models,)), text)
    assert outcome.complete, outcome.problems
    sizes = made.store.cells(["attack", "batch_size"]).set_index("attack")["batch_size"]
    for steps in ("", "steps=1, "):
        short = f"greedy({steps}room=9, error={error})".replace(", error=cuda", "")
        roomy = f"greedy({steps[:-2]})" if steps else "greedy"
        equal(records[short], records[roomy])
        assert sizes[roomy] >= 64
        assert sizes[short] == 8  # 96 images: from the second step on, more than 9 do not fit
    assert (records["greedy"].adversarial.argmax(1) != records["greedy"].labels).mean() > 0.2


def test_where_one_image_does_not_fit_the_cell_fails(session: MakeSession, unusual_models: Path) -> None:
    outcome, _, _ = run(
        session(files=(unusual_models,)), GRID + 'attack = { name = "greedy", error = "other", room = 1 }'
    )
    ((_, status, reason),) = outcome.problems
    assert status == "failed"
    assert "raised RuntimeError: mat1 and mat2 shapes cannot be multiplied at unusual_models.py:" in reason


def test_a_model_too_large_for_the_batch_is_judged_in_halves(session: MakeSession, unusual_models: Path) -> None:
    # Training keeps to the recipe's batches, and is not what this is about.
    recipe = "recipe = { learning_rate = 0.01, epochs = 6, batch_size = 16, select_on = 'last' }"
    models = f'[{{ name = "plain", {recipe} }}, {{ name = "plain", batch = 4, {recipe} }}]'
    text = GRID.replace('"plain"', models)
    made = session(files=(unusual_models,))
    plan = made.plan(parse_grid(tomllib.loads(text + 'attack = "sign"'), made.registry))
    outcome = made.run(plan)
    assert outcome.complete, outcome.problems
    frame = made.store.cells(["model", "batch_size"])
    assert set(frame[frame["model"].str.contains("batch=4")]["batch_size"]) == {4}
    assert (frame[~frame["model"].str.contains("batch=4")]["batch_size"] >= 64).all()
    pairs: dict[str, list[Record]] = {}
    for cell, record in made.store.records(list(plan.cells)):
        pairs.setdefault("attacked" if plan.cells[cell].attack else "clean", []).append(record)
    for first, second in pairs.values():
        equal(first, second)
