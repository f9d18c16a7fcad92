"""Auto-PGD: the paper's algorithm written out image by image, the laws of an attack, and what it gains over PGD."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from medrobust import Budget, PluginError, Targeted, Untargeted
from medrobust_attacks import APGD, PGD
from medrobust_attacks.geometry import random_point
from medrobust_attacks.margin import dlr_loss, rival_classes

pytestmark = pytest.mark.numerical

BUDGETS = [Budget("linf", 0.02), Budget("l2", 0.15)]
by_budget = pytest.mark.parametrize("budget", BUDGETS, ids=["linf", "l2"])
KINDS = [APGD(steps=12, schedule=12), APGD(steps=12, schedule=12, loss="dlr"), APGD(steps=12, loss="dlr", rank=2)]
by_kind = pytest.mark.parametrize("attack", KINDS, ids=["ce", "dlr", "second class"])


def into_ball(point, image, budget):
    delta = point - image
    if budget.norm == "linf":
        delta = delta.clamp(-budget.eps, budget.eps)
    elif delta.norm() > budget.eps:
        delta = delta * budget.eps / delta.norm()
    return (image + delta).clamp(0, 1)


def unit(gradient, budget):
    return gradient.sign() if budget.norm == "linf" else gradient / gradient.norm()


def by_the_paper(f, image, start, budget, steps):
    """Algorithm 1 of Croce and Hein (2020) for one image: the values of f and the points, in the order visited."""

    def value_and_gradient(x):
        leaf = x.clone().requires_grad_(True)
        value = f(leaf)
        return float(value.detach()), torch.autograd.grad(value, leaf)[0]

    lengths = [max(1, int(0.22 * steps))]
    while sum(lengths) < steps:
        lengths.append(max(lengths[-1] - max(1, int(0.03 * steps)), max(1, int(0.06 * steps))))
    checks = [sum(lengths[: i + 1]) for i in range(len(lengths))]

    points, values, size = [start], [value_and_gradient(start)[0]], 2 * budget.eps
    best, best_value, best_at_check, halved = start, values[0], values[0], True
    current, previous, last_check = start, start, 0
    for k in range(1, steps + 1):
        gradient = value_and_gradient(current)[1]
        ahead = into_ball(current + size * unit(gradient, budget), image, budget)
        if k > 1:
            ahead = into_ball(current + 0.75 * (ahead - current) + 0.25 * (current - previous), image, budget)
        previous, current = current, ahead
        points.append(current)
        values.append(value_and_gradient(current)[0])
        if values[-1] > best_value:
            best, best_value = current, values[-1]
        if k in checks:
            rises = sum(b > a for a, b in pairwise(values[last_check:]))
            first = rises <= 0.75 * (k - last_check)
            second = not halved and best_at_check == best_value
            halved, best_at_check, last_check = first or second, best_value, k
            if halved:
                size, current = size / 2, best
    return values, points


@by_budget
@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_it_visits_the_points_of_the_papers_algorithm(monkeypatch, network, images, draws, budget, loss) -> None:
    # In float64, as near the top rounding would decide whether a loss rose.
    net, x = network(4), images(5).double()
    net.module.double()
    labels = net.logits(x).argmax(dim=1)
    start = random_point(x.float(), budget, draws(5)).double()
    monkeypatch.setattr("medrobust_attacks.apgd.random_point", lambda *_: start)
    attack = APGD(steps=25, schedule=25, loss=loss)
    found = [p.clone() for p in attack.iterates(net, x, Untargeted(labels), budget, draws(5))]
    for i in range(5):
        goal = Untargeted(labels[i : i + 1])
        make = goal.loss if loss == "ce" else dlr_loss(goal)
        values, points = by_the_paper(
            lambda leaf, make=make: make(net.module(leaf[None])).squeeze(), x[i], start[i], budget, 25
        )
        broken = [bool(net.logits(p[None]).argmax() != labels[i]) for p in points]
        for steps in (1, 5, 6, 12, 25):
            seen = range(steps + 1)
            best = max(seen, key=lambda k: (broken[k], values[k]))
            assert (found[steps - 1][i] - points[best]).abs().max() < 1e-7


def test_difference_of_logits_ratio_by_hand() -> None:
    logits = torch.tensor([[5.0, 1.0, 2.0, 4.0], [1.0, 7.0, 3.0, 0.0]])
    goal = Untargeted(torch.tensor([0, 0]))
    # The margin of the largest other logit over that of the label, by the first less the third logit.
    assert dlr_loss(goal)(logits).tolist() == pytest.approx([(4 - 5) / (5 - 2), (7 - 1) / (7 - 1)])
    # The margin of the class steered to, by the first less the mean of the third and the fourth.
    towards = dlr_loss(goal, torch.tensor([2, 3]))(logits)
    assert towards.tolist() == pytest.approx([(2 - 5) / (5 - 1.5), (0 - 1) / (7 - 0.5)])
    assert dlr_loss(Targeted(torch.tensor([3, 3])))(logits).tolist() == pytest.approx([(4 - 5) / 3, (0 - 7) / 6])
    assert torch.allclose(dlr_loss(goal)(logits * 100), dlr_loss(goal)(logits))
    pair = torch.tensor([[2.0, 5.0], [4.0, 1.0]])
    assert dlr_loss(goal)(pair).tolist() == [3, -3]
    three = dlr_loss(Untargeted(torch.tensor([1])), torch.tensor([2]))(torch.tensor([[1.0, 4.0, 2.0]]))
    assert three.tolist() == pytest.approx([(2 - 4) / (4 - 1)])


def test_rivals_are_ranked_by_their_clean_logits() -> None:
    logits = torch.tensor([[5.0, 1.0, 2.0, 4.0], [1.0, 7.0, 3.0, 0.0]])
    goal = Untargeted(torch.tensor([0, 0]))
    assert [rival_classes(logits, goal, r).tolist() for r in (1, 2, 3)] == [[3, 1], [2, 2], [1, 3]]
    with pytest.raises(PluginError, match="rank = 4 needs 5 classes or more, the model has 4"):
        rival_classes(logits, goal, 4)
    with pytest.raises(PluginError, match="leave rank out"):
        rival_classes(logits, Targeted(torch.tensor([0, 0])), 1)


def test_a_rank_needs_the_loss_that_steers() -> None:
    with pytest.raises(ValueError, match='write loss = "dlr"'):
        APGD(rank=1)


@by_kind
@by_budget
def test_box_and_norm_are_kept(network, images, draws, attack, budget) -> None:
    net, x = network(4), images(8)
    x[0], x[1] = 0.0, 1.0
    found = attack.perturb(net, x, Untargeted(net.logits(x).argmax(dim=1)), budget, draws(8))
    moved = (found - x).double().flatten(1)
    size = moved.abs().amax(dim=1) if budget.norm == "linf" else moved.norm(dim=1)
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    assert size.max() <= budget.eps * (1 + 1e-5)
    assert (size > budget.eps / 20).all()


@by_kind
def test_images_that_leave_do_not_change_the_others(network, images, draws, attack) -> None:
    net, x = network(4), images(7)
    goal, order = Untargeted(net.logits(x).argmax(dim=1)), torch.tensor([4, 0, 5, 2, 6, 1, 3])
    whole = attack.perturb(net, x, goal, BUDGETS[0], draws(7))
    shuffled = attack.perturb(net, x[order], goal[order], BUDGETS[0], draws(7)[order])
    assert (shuffled - whole[order]).abs().max() < 1e-6
    steps = attack.iterates(net, x, goal, BUDGETS[0], draws(7))
    for _ in range(4):
        next(steps)
    stay = torch.tensor([True, False, True, True, False, False, True])
    rest = [p.clone() for p in (steps.send(stay), *steps)]
    assert len(rest) == 8
    assert (rest[-1] - whole[stay]).abs().max() < 1e-6


@by_kind
def test_a_long_run_passes_through_the_short_ones(network, images, draws, attack) -> None:
    net, x = network(4), images(5)
    goal = Untargeted(net.logits(x).argmax(dim=1))
    long = [p.clone() for p in attack.iterates(net, x, goal, BUDGETS[0], draws(5))]
    assert len(long) == 12
    for steps in (1, 7):
        short = APGD(steps=steps, schedule=attack.schedule, loss=attack.loss, rank=attack.rank)
        assert torch.equal(short.perturb(net, x, goal, BUDGETS[0], draws(5)), long[steps - 1])


def test_it_breaks_as_many_images_as_pgd_and_finds_larger_losses(network, images, draws) -> None:
    net, x = network(4, channels=3), images(60, 3)
    goal, budget = Untargeted(net.logits(x).argmax(dim=1)), Budget("linf", 0.01)
    found = {
        "pgd": PGD(steps=20).perturb(net, x, goal, budget, draws(60)),
        "apgd": APGD(steps=20, schedule=20).perturb(net, x, goal, budget, draws(60)),
    }
    broken = {name: float(goal.reached(net.logits(a)).float().mean()) for name, a in found.items()}
    assert 0.1 < broken["pgd"] < 0.9
    assert broken["apgd"] >= broken["pgd"]
    losses = {name: goal.loss(net.logits(a)) for name, a in found.items()}
    assert (losses["apgd"] >= losses["pgd"] - 1e-4).float().mean() > 0.9
    assert math.isfinite(float(losses["apgd"].sum()))
