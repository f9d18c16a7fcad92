"""Crafting in batches: their size follows from the model alone, and memory that ends costs no result."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medrobust import (
    Budget,
    DataError,
    MedrobustError,
    Outcome,
    PluginError,
    Record,
    SampleRNG,
    Session,
    Targeted,
    Untargeted,
    parse_grid,
)
from medrobust.engine.attack import run_attack
from medrobust.engine.classifier import TorchClassifier
from medrobust.engine.craft import (
    CACHE_BYTES,
    DEVICE_BYTES,
    USUAL,
    USUAL_BYTES,
    CellAccumulator,
    batch_size_for,
    explain,
    goal_for,
    judge,
    out_of_memory,
)
from medrobust.grid.blocks import GoalSpec

pytestmark = pytest.mark.numerical

MakeSession = Callable[..., Session]
Ran = tuple[Outcome, dict[str, Record], Session]

CLASSES = ("a", "b", "c")


def images(count: int = 6) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def classifier(outputs: int = 3, task: str = "multiclass") -> TorchClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))
    return TorchClassifier(module, task, outputs)  # type: ignore[arg-type]


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


def test_goals_from_labels_predictions_and_targets() -> None:
    batch, labels = images(), torch.tensor([0, 1, 2, 0, 1, 2])
    seen = classifier()
    goal = goal_for(GoalSpec("untargeted"), labels, seen, batch, CLASSES)
    assert isinstance(goal, Untargeted)
    assert torch.equal(goal.labels, labels)
    predicted = goal_for(GoalSpec("predicted"), None, seen, batch, CLASSES)
    assert torch.equal(predicted.labels, seen.logits(batch).argmax(1))
    targeted = goal_for(GoalSpec("target", "c"), None, seen, batch, CLASSES)
    assert isinstance(targeted, Targeted)
    assert targeted.labels.tolist() == [2] * 6
    several = goal_for(GoalSpec("target", "b"), None, classifier(task="multilabel"), batch, CLASSES)
    assert several.labels.tolist() == [[0, 1, 0]] * 6
    own = goal_for(GoalSpec("predicted"), None, classifier(task="multilabel"), batch, CLASSES)
    assert own.labels.shape == (6, 3)
    with pytest.raises(DataError, match='no labels; use goal = "predicted" or a target class'):
        goal_for(GoalSpec("untargeted"), None, seen, batch, CLASSES)


def test_a_universal_attack_and_one_that_ends_early_are_named(tiny: Path) -> None:
    from medrobust_attacks import PGD, RandomUAP

    class Short(PGD):
        def iterates(self, *arguments):  # type: ignore[no-untyped-def]
            steps = super().iterates(*arguments)
            yield next(steps)

    goal, draws = Untargeted(torch.zeros(6, dtype=torch.int64)), SampleRNG.for_ids(0, list("abcdef"))
    rest = (classifier(), images(), goal, Budget("linf", 0.1), draws)
    with pytest.raises(PluginError, match="attack 'random-uap' is universal; it is not crafted per image"):
        list(run_attack(RandomUAP(), {None}, "full", *rest))
    with pytest.raises(PluginError, match="attack 'pgd' ended after 1 of 5 iterations"):
        list(run_attack(Short(steps=5), {1, 5}, "full", *rest))


def test_what_is_judged_can_be_cut_back_and_given_up() -> None:
    seen = classifier()
    collected = CellAccumulator()
    for _ in range(3):
        judge(collected, images(), images(), Budget("linf", 0.1), seen.logits, 3)
    collected.cut(2)
    logits, l2, linf = collected.arrays()
    assert logits.shape == (12, 3)
    assert not l2.any()
    assert not linf.any()
    judge(collected, images() + 0.2, images(), Budget("linf", 0.1), seen.logits, 3)
    assert not collected.alive
    assert collected.status == "invalid"
    assert collected.logits == []


def test_people_read_why_a_cell_failed() -> None:
    assert explain(MedrobustError("put it there"), "attack 'x'") == "put it there"
    try:
        raise KeyError("a\n  long   story")
    except KeyError as error:
        line = explain(error, "attack 'x'")
    assert line.startswith("attack 'x' raised KeyError: 'a\\n long story' at test_craft.py:")
