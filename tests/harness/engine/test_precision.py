"""Precision is what the grid asks for, on every machine, and part of what a cell is."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medrobust import Budget, GridError, SampleRNG, Untargeted
from medrobust.api import Session, parse_grid
from medrobust.engine.acceleration import Acceleration
from medrobust.engine.crafting.early import until_success
from medrobust.engine.models.classifier import TorchClassifier
from medrobust_attacks import FGSM, PGD

pytestmark = pytest.mark.numerical

MakeSession = Callable[..., Session]
Images = tuple[Tensor, Tensor]

GRID = """
[[grid]]
dataset = "textures"
model = "tiny-net"
attack = { name = "steps", steps = [1, 4] }
budget = "linf:6/255"
"""


@pytest.fixture
def made(session: MakeSession) -> Session:
    return session()


def test_each_precision_is_a_cell_of_its_own_and_stands_in_the_record(made: Session) -> None:
    plan = made.plan(parse_grid(tomllib.loads(GRID + 'precision = ["float32", "bfloat16"]'), made.registry))
    assert made.run(plan).complete
    frame = made.store.cells(["attack", "precision"])
    assert sorted(frame[frame["attack"] != "none"]["precision"]) == ["bfloat16"] * 2 + ["float32"] * 2
    assert frame[frame["attack"] == "none"]["precision"].tolist() == [""]
    assert len({cell.craft_id for cell in plan.cells.values()}) == 3
    records = dict(made.store.records(list(plan.cells)))
    by = {(c.precision, c.cumulative_value): records[i].adversarial for i, c in plan.cells.items() if c.attack}
    assert not np.array_equal(by["float32", 4], by["bfloat16", 4])
    np.testing.assert_allclose(by["float32", 4], by["bfloat16", 4], atol=0.1)


def test_float32_is_the_default_and_an_option_overrides_the_grid(made: Session, tmp_path: Path) -> None:
    cells = made.plan(parse_grid(tomllib.loads(GRID), made.registry)).cells.values()
    assert {c.precision for c in cells} == {"float32"}
    (tmp_path / "grid.toml").write_text(GRID)
    given = made.plan(tmp_path / "grid.toml", precision="bfloat16").cells.values()
    assert {c.precision for c in given if c.attack} == {"bfloat16"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('precision = "float16"', "grid.precision: no precision is called 'float16'; did you mean 'bfloat16'"),
        ('precision = "mixed"', "precision: 'mixed' attacks again what bfloat16 leaves unbroken, so it needs stop"),
        ("precision = 16", "grid.precision: expected text, got 16"),
    ],
)
def test_a_precision_that_cannot_be_is_named(made: Session, keys: str, message: str) -> None:
    with pytest.raises(GridError) as raised:
        parse_grid(tomllib.loads(GRID + keys), made.registry)
    assert message in str(raised.value).replace("grid[0]", "grid")


class Blind(nn.Module):
    """A network whose low precision shows nothing: in bfloat16 its gradient leads nowhere."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.inner(images)
        return logits + 0 * images.sum() if not torch.is_autocast_enabled("cpu") else logits.detach() + 0 * images.sum()


@pytest.mark.parametrize("attack", [PGD(steps=5), FGSM()], ids=["pgd", "fgsm"])
def test_mixed_counts_an_image_as_robust_only_where_float32_fails_too(
    trained: nn.Module, shadows: Images, attack: PGD
) -> None:
    images, labels = shadows[0][:60], shadows[1][:60]
    goal, budget = Untargeted(labels), Budget("linf", 6 / 255)
    rng = SampleRNG.for_ids(0, [str(i) for i in range(len(images))])
    wanted: set[int | None] = {2, 5} if isinstance(attack, PGD) else {None}
    module = Blind(trained)
    fast, exact = (TorchClassifier(module, "multiclass", 3, arithmetic=a) for a in ("bfloat16", "float32"))  # type: ignore[arg-type]

    def broken(classifiers: list[TorchClassifier]) -> dict[int | None, Tensor]:
        made = until_success(attack, wanted, classifiers, images, goal, budget, rng.restarted())
        return {value: goal.reached(trained(x)) for value, x in made}

    alone, low, mixed = broken([exact]), broken([fast]), broken([fast, exact])
    last = max(wanted, key=lambda v: v or 0)
    assert int(low[last].sum()) < int(alone[last].sum())
    for value in wanted:
        assert torch.equal(mixed[value], low[value] | alone[value])


def test_mixed_is_never_weaker_than_float32(trained: nn.Module, shadows: Images) -> None:
    images, labels = shadows[0][:200], shadows[1][:200]
    goal, budget = Untargeted(labels), Budget("linf", 4 / 255)
    rng = SampleRNG.for_ids(0, [str(i) for i in range(len(images))])
    each = {
        a: TorchClassifier(trained, "multiclass", 3, Acceleration(), images[:8], a)  # type: ignore[arg-type]
        for a in ("bfloat16", "float32")
    }
    robust = {}
    for name, classifiers in {"float32": [each["float32"]], "mixed": list(each.values())}.items():
        ((_, found),) = until_success(PGD(steps=10), {10}, classifiers, images, goal, budget, rng.restarted())
        robust[name] = ~goal.reached(trained(found))
    assert not (robust["mixed"] & ~robust["float32"]).any()
    assert robust["mixed"].any()


def test_a_recipe_trains_in_the_precision_it_names(made: Session) -> None:
    keys = 'model = { name = "tiny-net", recipe = { epochs = 1, precision = ["float32", "bfloat16"] } }'
    plan = made.plan(parse_grid(tomllib.loads(GRID.replace('model = "tiny-net"', keys)), made.registry))
    assert made.run(plan).complete
    weights = [made.store.load_tensors(content) for content in made.store.fitted().values()]
    assert len(weights) == 2
    first, second = (w["head.weight"] for w in weights)
    assert first.dtype == second.dtype == torch.float32
    assert not torch.equal(first, second)
    torch.testing.assert_close(first, second, atol=0.05, rtol=0.5)
