"""Attacks that look for the smallest perturbation: laws that hold for all of them, and foolbox on the same images."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medrobust import Attack, Budget, IterativeAttack, Targeted, Untargeted
from medrobust_attacks import CWL2, DDN, FMN, DeepFool
from medrobust_attacks.geometry import lengths
from medrobust_attacks.minimal import Closest, clearly_reached

pytestmark = pytest.mark.numerical

MINIMAL = Budget("l2", None)
CW = CWL2(searches=4, steps=60, first_weight=0.1, abort=False)
ATTACKS: list[Attack] = [DeepFool(), CW, DDN(steps=80, schedule=80, first_radius=0.3), FMN(steps=40, schedule=40)]
by_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.title)


def broken(net, goal, found) -> Tensor:
    return goal.reached(net.logits(found))


@by_attack
def test_every_image_is_broken_inside_the_box_and_near(network, images, draws, attack) -> None:
    net, x = network(4, channels=3), images(20, 3)
    # Before the hyperbolic tangent of `cw-l2`, black and white are far away.
    x[0], x[1] = (0.2, 0.8) if attack is CW else (0.0, 1.0)
    goal = Untargeted(net.logits(x).argmax(dim=1))
    found = attack.perturb(net, x, goal, MINIMAL, draws(20))
    assert broken(net, goal, found).all()
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    assert found.shape == x.shape
    # No more than twice the length of the steepest way out of a ball, by a search over radii.
    assert (lengths(found - x, "l2") <= 2 * shortest_straight(net, x, goal)).all()


def shortest_straight(net, x, goal) -> Tensor:
    """The length of the shortest broken point along the gradient of the loss at each image."""
    ahead = net.gradient(x, goal.loss).gradient
    ahead = ahead / lengths(ahead, "l2").view(-1, 1, 1, 1)
    found = torch.full((len(x),), torch.inf)
    for size in torch.linspace(0.01, 4, 400):
        point = (x + size * ahead).clamp(0, 1)
        found = torch.where(broken(net, goal, point), torch.minimum(found, lengths(point - x, "l2")), found)
    return found


@by_attack
@pytest.mark.parametrize("outputs", [1, 2], ids=["one logit", "two classes"])
def test_the_distance_of_a_linear_model_is_found(network, images, draws, attack, outputs) -> None:
    net, x = network(outputs), images(6)
    net._net = nn.Sequential(nn.Flatten(), nn.Linear(64, outputs)).requires_grad_(False)
    with torch.no_grad():
        net._net[1].weight.copy_(torch.randn(outputs, 64, generator=torch.Generator().manual_seed(0)))
        net._net[1].bias.sub_(net.logits(x).mean(dim=0))
    logits = torch.cat([torch.zeros(6, 1), net.logits(x)], dim=1) if outputs == 1 else net.logits(x)
    weight = net._net[1].weight[0] if outputs == 1 else net._net[1].weight.diff(dim=0)[0]
    goal = Untargeted(logits.argmax(dim=1))
    # In the box the nearest point may be another; these images are far enough from it.
    found = attack.perturb(net, 0.4 + x / 5, goal, Budget("l2", None, box=None), draws(6)) - (0.4 + x / 5)
    logits = net.logits(0.4 + x / 5)
    goal_now = goal.reached(logits)
    margin = (logits[:, 0] if outputs == 1 else logits.diff(dim=1)[:, 0]).abs()
    exact = torch.where(goal_now, 0.0, margin / weight.norm())
    assert (lengths(found, "l2") >= exact * 0.999).all()
    slack = 1.1 if attack in (CW, ATTACKS[2]) else 1.03
    assert (lengths(found, "l2") <= exact * slack + 1e-3).all()


@by_attack
def test_what_a_radius_holds_is_found_and_nothing_leaves_it(network, images, draws, attack) -> None:
    net, x = network(3, channels=3), images(30, 3)
    goal = Untargeted(net.logits(x).argmax(dim=1))
    size = lengths(attack.perturb(net, x, goal, MINIMAL, draws(30)) - x, "l2")
    eps = float(size.median())
    found = attack.perturb(net, x, goal, Budget("l2", eps), draws(30))
    assert (lengths(found - x, "l2") <= eps * (1 + 1e-5)).all()
    assert broken(net, goal, found)[size <= eps].all()
    if not isinstance(attack, DeepFool):  # it puts images back into the ball, which may break them there too
        assert torch.equal(broken(net, goal, found), size <= eps)
        assert torch.equal(found[size > eps], x[size > eps])


@pytest.mark.long
@by_attack
def test_order_and_batch_do_not_matter(network, images, draws, attack) -> None:
    # In float64, as at the boundary rounding would decide what is broken.
    net, x = network(4), images(6).double()
    net.module.double()
    goal, order = Untargeted(net.logits(x).argmax(dim=1)), torch.tensor([4, 0, 5, 2, 1, 3])
    whole = attack.perturb(net, x, goal, MINIMAL, draws(6))
    shuffled = attack.perturb(net, x[order], goal[order], MINIMAL, draws(6)[order])
    assert (shuffled - whole[order]).abs().max() < 1e-9
    alone = [attack.perturb(net, x[i : i + 1], goal[[i]], MINIMAL, draws(6)[torch.tensor([i])]) for i in range(6)]
    assert (torch.cat(alone) - whole).abs().max() < 1e-9


@pytest.mark.parametrize("attack", [a for a in ATTACKS if isinstance(a, IterativeAttack)], ids=lambda a: a.title)
def test_short_runs_are_prefixes_and_images_that_leave_change_nothing(network, images, draws, attack) -> None:
    net, x = network(4), images(7)
    goal = Untargeted(net.logits(x).argmax(dim=1))
    points = [p.clone() for p in attack.iterates(net, x, goal, MINIMAL, draws(7))]
    assert len(points) == attack.steps
    short = type(attack)(**{**vars(attack), "steps": 3}).perturb(net, x, goal, MINIMAL, draws(7))
    assert torch.equal(short, points[2])
    steps = attack.iterates(net, x, goal, MINIMAL, draws(7))
    next(steps)
    stay = torch.tensor([True, False, True, True, False, False, True])
    rest = [p.clone() for p in (steps.send(stay), *steps)]
    assert (rest[-1] - points[-1][stay]).abs().max() < 1e-4


@by_attack
def test_one_of_several_labels_changes(network, images, draws, attack) -> None:
    net, x = network(3, task="multilabel"), images(8)
    goal = Untargeted((net.logits(x) > 0).long())
    found = attack.perturb(net, x, goal, MINIMAL, draws(8))
    assert broken(net, goal, found).all()
    assert lengths(found - x, "l2").max() < 2


@pytest.mark.parametrize("attack", ATTACKS[1:], ids=lambda a: a.title)
def test_targets_are_reached(network, images, draws, attack) -> None:
    net, x = network(3), images(10)
    labels = net.logits(x).argmax(dim=1)
    near, goal = Untargeted(labels), Targeted((labels + 1) % 3)
    found = attack.perturb(net, x, goal, MINIMAL, draws(10))
    assert broken(net, goal, found).float().mean() >= 0.8
    reached = broken(net, goal, found)
    free = attack.perturb(net, x, near, MINIMAL, draws(10))
    assert lengths(found - x, "l2")[reached].mean() >= 0.9 * lengths(free - x, "l2")[reached].mean()


def beside_foolbox(net, x, labels, name: str, **options: Any) -> tuple[Tensor, Tensor]:
    """Lengths and successes of one of foolbox's attacks."""
    foolbox = pytest.importorskip("foolbox")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = foolbox.PyTorchModel(net.module, bounds=(0, 1), device="cpu")
        found = getattr(foolbox.attacks, name)(**options).run(model, x, foolbox.Misclassification(labels))
    return lengths(found - x, "l2"), net.logits(found).argmax(dim=1) != labels


PEERS = [
    (DeepFool(), "L2DeepFoolAttack", {}),
    (FMN(steps=40, schedule=40), "L2FMNAttack", {"steps": 40}),
    (DDN(steps=40, schedule=40), "DDNAttack", {"steps": 40}),
    (CW, "L2CarliniWagnerAttack", {"binary_search_steps": 4, "steps": 60, "initial_const": 0.1, "abort_early": False}),
]


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(("attack", "peer", "options"), PEERS, ids=[p[1] for p in PEERS])
def test_at_least_as_strong_as_foolbox_with_no_more_passes(
    network, images, draws, attack, peer, options, classes
) -> None:
    net, x = network(classes, channels=3, seed=1), images(40, 3)
    labels = net.logits(x).argmax(dim=1)
    goal = Untargeted(labels)
    passes: list[int] = []
    handle = net.module.register_forward_hook(lambda _module, inputs, _output: passes.append(len(inputs[0])))
    theirs, they_broke = beside_foolbox(net, x, labels, peer, **options)
    handle.remove()
    before = net.forward_passes
    found = attack.perturb(net, x, goal, MINIMAL, draws(40))
    assert net.forward_passes - before <= sum(passes)
    ours, we_broke = lengths(found - x, "l2"), broken(net, goal, found)
    assert we_broke.sum() >= they_broke.sum()
    both = we_broke & they_broke
    assert both.any()
    assert float(ours[both].median()) <= 1.005 * float(theirs[both].median())
    assert float(ours[both].mean()) <= 1.005 * float(theirs[both].mean())


def test_a_decision_that_rounding_could_turn_is_not_clear() -> None:
    goal = Untargeted(torch.tensor([0, 0, 0]))
    logits = torch.tensor([[50.0, 50.001], [50.0, 50.01], [0.5, 0.50011]])
    assert goal.reached(logits).all()
    assert clearly_reached(goal, logits).tolist() == [False, True, True]
    assert clearly_reached(goal, logits, confidence=0.005).tolist() == [False, True, False]


def test_the_closest_stays_until_a_closer_one_is_broken() -> None:
    x = torch.zeros(3, 1, 1, 1)
    best = Closest.begin(x, Budget("l2", 0.5))
    best.learn(x + 0.4, torch.full((3,), 0.4), torch.tensor([True, False, True]))
    best.learn(x + 0.6, torch.full((3,), 0.6), torch.tensor([True, True, True]))
    best.learn((x + 0.3)[2:], torch.full((1,), 0.3), torch.tensor([True]), torch.tensor([2]))
    assert best.images.flatten().tolist() == pytest.approx([0.4, 0.0, 0.3])
    assert best.reach.tolist() == pytest.approx([0.4, 0.5, 0.3], rel=1e-5)
    best.learn(x + 0.9, best.reach / (1 - 1e-6), torch.tensor([True, False, True]))
    assert best.images[0] == pytest.approx(0.4), "of two at one distance, the first stays"
