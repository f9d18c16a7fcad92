"""Universal perturbations by stochastic gradient ascent."""

from __future__ import annotations

import pytest
import torch

from medrobust import Budget, Targeted, Untargeted, decide
from medrobust_attacks import RandomUAP, StochasticUAP

pytestmark = pytest.mark.numerical

BUDGETS = [Budget("linf", 0.15, box=None), Budget("l2", 1.2, box=None)]
by_budget = pytest.mark.parametrize("budget", BUDGETS, ids=lambda b: b.norm)
by_optimizer = pytest.mark.parametrize("optimizer", ["sgd", "adam"])


def unknown(count: int) -> Untargeted:
    return Untargeted(torch.zeros(count, dtype=torch.int64))


@by_budget
@by_optimizer
@pytest.mark.parametrize(("classes", "targeted"), [(2, False), (3, True), (7, False)])
def test_it_fools_far_more_images_than_chance_within_the_ball(
    network, images, draws, budget, optimizer, targeted, classes
) -> None:
    net, x = network(classes), images(100)
    goal = Targeted(torch.full((100,), classes - 1)) if targeted else unknown(100)
    own = goal if targeted else Untargeted(net.logits(x).argmax(dim=1))
    rates = []
    for attack in (StochasticUAP(optimizer=optimizer, batch=20), RandomUAP()):
        rho = attack.fit(net, x, goal, budget, draws(100))
        size = rho.abs().max() if budget.norm == "linf" else rho.double().norm()
        assert size <= budget.eps * (1 + 1e-5)
        rates.append(float(own.reached(net.logits(x + rho)).float().mean()))
    assert rates[0] > rates[1] + 0.15


@by_budget
@by_optimizer
def test_every_epoch_is_a_prefix(network, images, draws, budget, optimizer) -> None:
    net, x = network(3), images(50)
    long = StochasticUAP(epochs=4, batch=16, optimizer=optimizer)
    found = [r.clone() for r in long.iterates(net, x, unknown(50), budget, draws(50))]
    for epochs in (1, 2, 4):
        short = StochasticUAP(epochs=epochs, batch=16, optimizer=optimizer)
        assert torch.equal(short.fit(net, x, unknown(50), budget, draws(50)), found[epochs - 1])


def test_images_beyond_the_clip_have_no_say(network, images, draws) -> None:
    """With a clip below every loss nothing moves; the loss of a sure, wrong prediction is beyond it."""
    net, x = network(3), images(20)
    rho = StochasticUAP(clip=1e-9).fit(net, x, unknown(20), BUDGETS[0], draws(20))
    assert torch.equal(rho, torch.zeros_like(x[0]))


def test_one_step_follows_the_mean_gradient(network, images, draws) -> None:
    net, x, budget = network(3), images(20), BUDGETS[1]
    attack = StochasticUAP(epochs=1, batch=20)
    rho = attack.fit(net, x, unknown(20), budget, draws(20))
    mean = net.gradient(x, Untargeted(net.logits(x).argmax(dim=1)).loss).gradient.mean(dim=0)
    assert (rho - mean / mean.norm() * budget.eps / 20).abs().max() < 1e-6


def test_multi_label(network, images, draws) -> None:
    net, x = network(3, task="multilabel"), images(60)
    own = Untargeted(decide(net.logits(x), multilabel=True))
    goal = Untargeted(torch.zeros(60, 3, dtype=torch.int64))
    rho = StochasticUAP(batch=20).fit(net, x, goal, Budget("linf", 0.1, box=None), draws(60))
    assert own.reached(net.logits(x + rho)).float().mean() > 0.3
