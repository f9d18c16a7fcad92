"""The attack of kovalev2019: every reading of its formula against the formula written out, and its cumulative steps."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medrobust import Budget, Goal, Targeted, Untargeted
from medrobust.api import Session
from medrobust_attacks import KovalevPGD

pytestmark = pytest.mark.numerical

EPS, STEPS = 0.03, 6
READINGS = [
    KovalevPGD(steps=STEPS, clip=clip, direction=direction, objective=objective, learning_rate=rate)
    for clip, direction, objective, rate in itertools.product(
        ("iterate", "gradient"), ("sign", "raw"), ("probability", "cross-entropy"), (0.01, 0.1)
    )
]
reading = pytest.mark.parametrize(
    "attack", READINGS, ids=lambda a: f"{a.clip}-{a.direction}-{a.objective}-{a.learning_rate}"
)


def written_out(net, x, labels, attack, *, targeted: bool, steps: int = STEPS) -> torch.Tensor:
    """Formula 1: y_p decreases (of a target class, it increases); the softmax, the clips and the box by hand."""
    point = x.clone()
    for _ in range(steps):
        leaf = point.clone().requires_grad_(True)
        p = net.module(leaf).softmax(dim=1)[range(len(x)), labels]
        value = p if attack.objective == "probability" else p.log()
        (gradient,) = torch.autograd.grad((-value if targeted else value).sum(), leaf)
        step = torch.sign(gradient) if attack.direction == "sign" else gradient
        if attack.clip == "gradient":
            step = torch.minimum(torch.maximum(step, torch.tensor(-EPS)), torch.tensor(EPS))
        point = point - attack.learning_rate * step
        if attack.clip == "iterate":
            point = torch.minimum(torch.maximum(point, x - EPS), x + EPS)
        point = point.clamp(0, 1)
    return point


@reading
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("targeted", [False, True], ids=["untargeted", "targeted"])
def test_every_reading_follows_the_formula(network, images, draws, attack, classes, targeted) -> None:
    net, x = network(classes), images(8)
    labels = net.logits(x).argmax(dim=1)
    labels = (labels + 1) % classes if targeted else labels
    goal: Goal = Targeted(labels) if targeted else Untargeted(labels)
    found = attack.perturb(net, x, goal, Budget("linf", EPS), draws(8))
    expected = written_out(net, x, labels, attack, targeted=targeted)
    # A sign may turn where a gradient is within rounding of zero; nothing else may differ.
    assert ((found - expected).abs() > 2e-6).float().mean() < 0.002
    assert (found - x).abs().max() > 1e-5
    assert (found - x).abs().max() <= EPS * (1 + 1e-5)


def test_the_readings_differ(network, images, draws) -> None:
    net, x = network(2), images(8)
    goal = Untargeted(net.logits(x).argmax(dim=1))
    found = {a: a.perturb(net, x, goal, Budget("linf", EPS), draws(8)) for a in READINGS}
    for first, second in itertools.combinations(READINGS, 2):
        # The sign of a probability's gradient is that of its logarithm's.
        if first.direction == "sign" and replace(first, objective=second.objective) == second:
            continue
        assert (found[first] - found[second]).abs().max() > 1e-6, (first, second)


@reading
def test_a_long_run_passes_through_the_short_ones(network, images, draws, attack) -> None:
    net, x, budget = network(3), images(6), Budget("linf", EPS)
    goal = Untargeted(net.logits(x).argmax(dim=1))
    iterates = [a.clone() for a in attack.iterates(net, x, goal, budget, draws(6))]
    assert len(iterates) == STEPS
    for steps in (1, 2, 5):
        short = replace(attack, steps=steps)
        assert torch.equal(short.perturb(net, x, goal, budget, draws(6)), iterates[steps - 1])


def test_a_sweep_over_steps_is_equal_record_by_record_to_separate_runs(tiny: Path, tmp_path: Path) -> None:
    def adversarial(steps: str, store: str) -> dict[int, np.ndarray]:
        attack = f'{{ name = "kovalev-pgd", steps = {steps} }}'
        grid = f'[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nattack = {attack}\ngoal = "predicted"\n'
        (tmp_path / "grid.toml").write_text(grid + 'budget = "linf:0.05"\n')
        session = Session(tmp_path / store, (tiny,), workers=1)
        plan = session.plan(tmp_path / "grid.toml", evidence=False)
        assert session.run(plan).complete
        records = dict(session.store.records(list(plan.cells)))
        return {
            c.cumulative_value: records[i].adversarial for i, c in plan.cells.items() if c.attack and c.cumulative_value
        }

    sweep = adversarial("[1, 6]", "sweep")
    assert sweep.keys() == {1, 6}
    assert not np.array_equal(sweep[1], sweep[6])
    for steps, found in sweep.items():
        assert np.array_equal(found, adversarial(str(steps), f"alone-{steps}")[steps])


def test_the_probability_decreases_with_every_step_until_the_border(network, images, draws) -> None:
    net, x = network(3), images(8)
    labels = net.logits(x).argmax(dim=1)
    before = net.logits(x).softmax(dim=1).amax(dim=1)
    for point in KovalevPGD(steps=3).iterates(net, x, Untargeted(labels), Budget("linf", 0.2), draws(8)):
        after = net.logits(point).softmax(dim=1)[range(8), labels]
        assert (after < before).all()
        before = after


def test_confident_images_resist_the_raw_gradient_and_not_its_sign(network, images, draws) -> None:
    """The probability's gradient is p (1 - p) times that of the margin: at 0.9999 it hardly moves an image."""
    x = images(8)
    sure = network(2, scale=400.0)
    p = sure.logits(x).softmax(dim=1)
    kept = p.amax(dim=1) > 0.9999
    assert kept.any()
    x, labels = x[kept], p.argmax(dim=1)[kept]
    n, goal, budget = len(x), Untargeted(labels), Budget("linf", EPS)
    raw = KovalevPGD(direction="raw", learning_rate=0.01).perturb(sure, x, goal, budget, draws(n))
    sign = KovalevPGD().perturb(sure, x, goal, budget, draws(n))
    assert (raw - x).abs().max() < 1e-3
    assert (sign - x).abs().max() > 0.99 * EPS


def test_a_step_of_the_default_is_a_hundredth_of_the_range_whatever_the_radius(network, images, draws) -> None:
    net, x = network(2), images(5) * 0.4 + 0.3
    goal = Untargeted(net.logits(x).argmax(dim=1))
    for eps in (0.02, 0.20):
        first = next(KovalevPGD().iterates(net, x, goal, Budget("linf", eps), draws(5)))
        assert ((first - x).abs() - 0.01).abs().max() < 1e-6
    last = KovalevPGD().perturb(net, x, goal, Budget("linf", 0.2), draws(5))
    assert (last - x).abs().max() == pytest.approx(0.2, abs=1e-5)


@pytest.mark.parametrize("steps", [1, 20, 50])
def test_a_clipped_gradient_that_might_leave_the_radius_is_refused(steps: int) -> None:
    KovalevPGD(steps=steps, clip="gradient", learning_rate=1 / steps)
    with pytest.raises(ValueError, match=rf"take learning_rate = {1 / steps:g} or less, or clip = 'iterate'"):
        KovalevPGD(steps=steps, clip="gradient", learning_rate=1.1 / steps)
