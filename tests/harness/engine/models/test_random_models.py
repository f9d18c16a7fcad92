"""Random models: their numbers are the host's, so records can be made again, and one draw decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medrobust import SampleRNG, Shape, Untargeted
from medrobust.api import Record, Registry, Session, measure, parse_grid
from medrobust.engine.crafting import batches
from medrobust.engine.models.classifier import TorchClassifier
from medrobust.engine.models.random_models import RandomInput, verdict_logits
from medrobust.grid.identity import VERDICT_DRAWS

MakeSession = Callable[..., Session]


def images(count: int = 6) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def streams(count: int = 6) -> SampleRNG:
    return SampleRNG.for_ids(3, [str(i) for i in range(count)])


@pytest.fixture
def module(core: Registry) -> nn.Module:
    jitter, net = core.find("defense", "jitter").plugin(), core.find("model", "tiny-net").plugin()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        inner = net.build(Shape(1, 8, 8, 2))  # type: ignore[attr-defined]
    return RandomInput(jitter, inner).eval().requires_grad_(False)  # type: ignore[arg-type]


def records(made: Session, defense: str) -> dict[str, Record]:
    grid = {
        "grid": [
            {
                "dataset": "textures",
                "model": "tiny-net",
                "defense": defense,
                "attack": ["steps", "hum"],
                "budget": "linf:12/255",
            }
        ]
    }
    plan = made.plan(parse_grid(grid, made.registry))
    outcome = made.run(plan)
    assert outcome.complete, outcome.problems
    return {plan.cells[cell].describe(): record for cell, record in made.store.records(list(plan.cells))}


@pytest.mark.parametrize("defense", ["jitter", "shaken"])
def test_two_fresh_stores_agree_to_the_last_bit(session: MakeSession, tmp_path: Path, defense: str) -> None:
    first, second = (records(session(tmp_path / name), defense) for name in ("one", "two"))
    assert first.keys() == second.keys()
    for name, record in first.items():
        assert record.draws == VERDICT_DRAWS
        assert record.adversarial_more is not None
        assert np.array_equal(record.adversarial, second[name].adversarial)
        assert np.array_equal(record.adversarial_more, second[name].adversarial_more)
        assert not np.allclose(record.draw(0).adversarial, record.draw(1).adversarial)


def test_the_size_of_batches_changes_no_number(
    session: MakeSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = records(session(tmp_path / "whole"), "jitter")
    monkeypatch.setattr("medrobust.engine.crafting.stream.batch_size_for", lambda *_: 5)
    assert batches.batch_size_for(1, "cpu") > 5
    for name, record in records(session(tmp_path / "small"), "jitter").items():
        np.testing.assert_allclose(record.adversarial, whole[name].adversarial, atol=1e-4)


def test_a_verdict_draws_by_image_and_not_by_batch(module: nn.Module) -> None:
    whole = verdict_logits(module, images(), streams(), 4)
    assert whole.shape == (6, 4, 2)
    part = verdict_logits(module, images()[2:4], streams()[2:4], 4)
    torch.testing.assert_close(part, whole[2:4])
    assert len({round(float(x), 5) for x in whole[0, :, 0]}) == 4


def test_an_attack_does_not_see_the_numbers_it_is_judged_by(module: nn.Module) -> None:
    classifier = TorchClassifier(module, "multiclass", 2, stochastic=True)
    classifier.begin(streams())
    seen = torch.stack([classifier.logits(images()) for _ in range(VERDICT_DRAWS)], dim=1)
    judged = verdict_logits(module, images(), streams(), VERDICT_DRAWS)
    assert float((seen[:, :, None] - judged[:, None]).abs().amax(dim=3).min()) > 1e-6
    classifier.begin(streams())
    assert torch.equal(classifier.logits(images()), seen[:, 0])


def test_a_gradient_is_averaged_over_draws(module: nn.Module) -> None:
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    classifier = TorchClassifier(module, "multiclass", 2, stochastic=True)
    classifier.begin(streams())
    single = [classifier.gradient(images(), Untargeted(labels).loss) for _ in range(3)]
    classifier.begin(streams())
    mean = classifier.gradient(images(), Untargeted(labels).loss, draws=3)
    for name in ("gradient", "loss", "logits"):
        torch.testing.assert_close(getattr(mean, name), torch.stack([getattr(s, name) for s in single]).mean(dim=0))
    assert classifier.backward_passes == 6 * 6
    plain = TorchClassifier(module.inner, "multiclass", 2)  # type: ignore[arg-type]
    plain.gradient(images(), Untargeted(labels).loss, draws=3)
    assert plain.backward_passes == 6


def test_mean_and_worst_are_stated(session: MakeSession) -> None:
    found = records(session(), "jitter")
    record = next(r for name, r in found.items() if name.startswith("steps"))
    right = np.stack([record.draw(k).adversarial.argmax(1) == record.labels for k in range(record.draws)])
    value = measure("accuracy", record)
    assert value.scalar == pytest.approx(right.mean())
    assert f"mean of {VERDICT_DRAWS} draws" in value.note
    assert f"{right.all(axis=0).mean():.1%} at worst" in value.note
    assert right.all(axis=0).mean() < right.mean()
    matrix = measure("confusion_matrix", record)
    assert np.allclose(np.asarray(matrix.value).sum(axis=1), 1)
