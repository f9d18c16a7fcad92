"""Shuffled and rounded images of other attacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from medrobust import Budget, Untargeted
from medrobust.api import Session
from medrobust_attacks import FGSM, BatchClipped, BatchShuffled, Noise, Rounded, Shuffled

pytestmark = pytest.mark.numerical

FREE = Budget("linf", 0.03, box=None)


def test_shuffling_keeps_the_values_and_moves_them(network, images, draws) -> None:
    net, x = network(3), images(6)
    goal = Untargeted(net.logits(x).argmax(dim=1))
    adversarial = x + 0.03 * torch.rand(x.shape, generator=torch.Generator().manual_seed(1))
    found = Shuffled(of=FGSM()).derive(x, adversarial, goal, FREE, draws(6))
    before, after = (adversarial - x).flatten(1), (found - x).flatten(1)
    assert (before.sort(dim=1).values - after.sort(dim=1).values).abs().max() < 1e-6
    assert ((before - after).abs() > 1e-4).float().mean() > 0.9


def test_values_move_between_channels(images, draws) -> None:
    x = images(40, channels=3)
    adversarial = x.clone()
    adversarial[:, 0] += 0.01
    found = Shuffled(of=FGSM()).derive(x, adversarial, Untargeted(torch.zeros(40)), FREE, draws(40))
    share = ((found - x) > 0.005).float().mean(dim=(0, 2, 3))
    # A third of the values, wherever they land; 40 x 64 draws have a standard error below 0.01.
    assert (share - 1 / 3).abs().max() < 0.05


def test_shuffling_stays_in_the_box_and_does_not_depend_on_the_batch(network, images, draws) -> None:
    net, x, budget = network(3), images(8), Budget("linf", 0.1)
    x[0] = 1.0
    goal = Untargeted(net.logits(x).argmax(dim=1))
    attack = Shuffled(of=FGSM())
    whole = attack.perturb(net, x, goal, budget, draws(8))
    assert whole.min() >= 0
    assert whole.max() <= 1
    streams, order = draws(8), torch.tensor([5, 0, 7, 1, 2, 3, 4, 6])
    parts = [attack.perturb(net, x[p], goal[p], budget, streams[p]) for p in order.split(3)]
    assert torch.equal(torch.cat(parts), whole[order])


@pytest.mark.parametrize("mode", ["nearest", "down"])
def test_rounding_gives_grey_levels(network, images, draws, mode) -> None:
    x, budget = images(5), Budget("linf", 0.02, slack=1 / 255)
    adversarial = Noise(distribution="uniform").perturb(network(2), x, Untargeted(torch.zeros(5)), budget, draws(5))
    found = Rounded(of=FGSM(), mode=mode).derive(x, adversarial, Untargeted(torch.zeros(5)), budget, draws(5))
    levels = found.double() * 255
    assert (levels - levels.round()).abs().max() < 1e-4
    moved = (found - adversarial).double() * 255
    assert moved.abs().max() <= (0.5 if mode == "nearest" else 1.0) + 1e-3
    if mode == "down":
        assert moved.max() < 2e-3
        assert moved.mean() < -0.4


@pytest.mark.parametrize("mode", ["nearest", "down"])
def test_images_of_eight_bits_are_left_alone(draws, mode) -> None:
    x = (torch.arange(256, dtype=torch.float32) / 255).view(1, 1, 16, 16)
    found = Rounded(of=FGSM(), mode=mode).derive(x, x, Untargeted(torch.zeros(1)), FREE, draws(1))
    assert torch.equal(found, x)


def test_values_move_between_the_images_of_a_batch(images, draws) -> None:
    x = images(8, channels=3)
    adversarial = x.clone()
    adversarial[0] += 0.02
    found = BatchShuffled(of=FGSM()).derive(x, adversarial, Untargeted(torch.zeros(8)), FREE, draws(8))
    before, after = (adversarial - x).flatten(), (found - x).flatten()
    assert (before.sort().values - after.sort().values).abs().max() < 1e-6
    share = ((found - x) > 0.01).float().mean(dim=(1, 2, 3))
    # An eighth of the values, wherever they land; 3 x 64 draws have a standard error of 0.024.
    assert (share - 1 / 8).abs().max() < 0.1
    boxed = BatchShuffled(of=FGSM()).derive(x, adversarial, Untargeted(torch.zeros(8)), Budget("linf", 0.03), draws(8))
    assert torch.equal(boxed, found.clamp(0, 1))


def test_images_are_clipped_to_the_range_of_their_batch(images, draws) -> None:
    x = images(4) * 0.5 + 0.2
    adversarial = x + 0.03 * torch.rand(x.shape, generator=torch.Generator().manual_seed(1)).sub(0.5).sign()
    found = BatchClipped(of=FGSM()).derive(x, adversarial, Untargeted(torch.zeros(4)), FREE, draws(4))
    assert (found.min(), found.max()) == (x.min(), x.max())
    inside = (adversarial >= x.min()) & (adversarial <= x.max())
    assert not inside.all()
    assert torch.equal(found[inside], adversarial[inside])


def test_attacks_on_whole_batches_ask_for_batches() -> None:
    assert (BatchShuffled(of=FGSM()).batch_size, BatchClipped(of=FGSM()).batch_size) == (32, 32)
    assert Shuffled(of=FGSM()).batch_size is None


@pytest.mark.parametrize(
    ("attack", "budget"),
    [
        ('{ name = "batch-shuffled", of = "fgsm" }', "linf:0.02@[-1,1] box=none"),
        ('{ name = "batch-clipped", of = "fgsm" }', "linf:0.02@[-1,1] box=none"),
        ('{ name = "rounded", of = "fgsm", mode = "down" }', "linf:0.02@[-1,1] slack=1/255"),
    ],
)
def test_what_released_code_does_runs_and_keeps_its_budget(tiny: Path, tmp_path: Path, attack, budget) -> None:
    def logits(attack: str) -> np.ndarray:
        (tmp_path / "grid.toml").write_text(
            f'[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nattack = {attack}\nbudget = "{budget}"\n'
        )
        session = Session(tmp_path / "store", (tiny,), workers=1)
        plan = session.plan(tmp_path / "grid.toml", evidence=False)
        outcome = session.run(plan)
        assert outcome.complete, outcome.problems
        records = dict(session.store.records([key for key, cell in plan.cells.items() if cell.attack]))
        (record,) = records.values()
        return record.adversarial

    # Not what the attack alone gives: the switch does something.
    assert not np.array_equal(logits(attack), logits('"fgsm"'))
