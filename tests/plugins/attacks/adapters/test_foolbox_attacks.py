"""foolbox by name: what it returns is what the library returns, and what it supports is what the library does."""

from __future__ import annotations

import pickle

import foolbox
import pytest
import torch

from medrobust import Budget, BudgetSpec, PluginError, Targeted, Untargeted
from medrobust.api import Registry
from medrobust_attacks.adapters.common import within
from medrobust_attacks.adapters.foolbox_attacks import Foolbox


def plugin(name: str, **fields):
    return Foolbox().plugin(name)(**fields)


def library(net):
    return foolbox.PyTorchModel(net.module, bounds=(0, 1), device="cpu")


@pytest.mark.parametrize(
    ("name", "fields", "budget", "targeted"),
    [
        ("LinfPGD", {"steps": 5}, Budget("linf", 0.05), False),
        ("LinfPGD", {"steps": 5}, Budget("linf", 0.05), True),
        ("L1PGD", {"steps": 5}, Budget("l1", 2.0), False),
        ("L2DeepFoolAttack", {}, Budget("l2", None), False),
        ("L2DeepFoolAttack", {}, Budget("l2", 0.1), False),
        ("EADAttack", {"steps": 10, "binary_search_steps": 2}, Budget("l1", None), True),
        ("L2AdditiveGaussianNoiseAttack", {}, Budget("l2", 0.5), False),
    ],
)
def test_images_equal_those_of_the_library(network, images, draws, name, fields, budget, targeted) -> None:
    net, x = network(3), images(6)
    labels = net.logits(x).argmax(dim=1)
    labels = (labels + 1) % 3 if targeted else labels
    criterion = foolbox.criteria.TargetedMisclassification(labels) if targeted else foolbox.Misclassification(labels)
    torch.manual_seed(1)
    _, expected, success = getattr(foolbox.attacks, name)(**fields)(library(net), x, criterion, epsilons=budget.eps)
    torch.manual_seed(1)
    goal = Targeted(labels) if targeted else Untargeted(labels)
    attack = plugin(name, **fields)
    found = attack.perturb(net, x, goal, budget, draws(6))
    assert torch.equal(found, expected)
    torch.manual_seed(1)
    assert torch.equal(attack.crafted(net, x, goal, budget)[2], success)


def test_every_attack_of_the_library_has_a_name_and_aliases_are_one_plugin() -> None:
    (found,) = (each for each in Registry.discover().libraries("foolbox"))
    names = found.names()
    assert {"LinfPGD", "PGD", "SpatialAttack", "L0FMNAttack"} <= set(names)
    assert len(names) == 69 if foolbox.__version__ == "3.3.4" else len(names) > 50
    assert "Attack" not in names
    assert found.plugin("PGD").name == found.plugin("LinfPGD").name == "foolbox:LinfProjectedGradientDescentAttack"
    made = [found.plugin(name).plugin for name in names]
    assert all(each.libraries == ("foolbox",) for each in made)


@pytest.mark.parametrize(
    ("name", "norms", "goals", "knowledge", "minimal"),
    [
        ("LinfPGD", {"linf"}, {"untargeted", "targeted"}, "white-box", False),
        ("FGSM", {"linf"}, {"untargeted"}, "white-box", False),
        ("GenAttack", {"linf"}, {"targeted"}, "score-based", False),
        ("NewtonFoolAttack", {"l2"}, {"untargeted"}, "white-box", True),
        ("HopSkipJumpAttack", {"linf", "l2"}, {"untargeted", "targeted"}, "decision-based", True),
        ("InversionAttack", {"linf", "l2", "l1", "l0"}, {"untargeted", "targeted"}, "none", True),
        ("L0FMNAttack", {"l0"}, {"untargeted", "targeted"}, "white-box", True),
        ("SpatialAttack", {"unbounded"}, {"untargeted", "targeted"}, "decision-based", False),
        ("LinfAdditiveUniformNoiseAttack", {"linf"}, {"untargeted", "targeted"}, "none", False),
    ],
)
def test_what_an_attack_supports_follows_from_the_library(name, norms, goals, knowledge, minimal) -> None:
    threat = Foolbox().plugin(name).threat
    assert (threat.norms, threat.goals, threat.minimal) == (norms, goals, minimal)
    assert threat.knowledge == knowledge


def test_a_network_of_one_logit_and_one_of_several_labels(network, images, draws) -> None:
    one = network(1)
    x = images(6)
    labels = (one.logits(x)[:, 0] > 0).long()
    moved = plugin("LinfPGD", steps=20).perturb(one, x, Untargeted(labels), Budget("linf", 0.3), draws(6))
    assert ((one.logits(moved)[:, 0] > 0).long() != labels).sum() >= 4
    many = network(4, task="multilabel")
    truth = (many.logits(x) > 0).long()
    noise = plugin("LinearSearchBlendedUniformNoiseAttack", directions=10, steps=10)
    blended = noise.perturb(many, x, Untargeted(truth), Budget("l2", None), draws(6))
    assert Untargeted(truth).reached(many.logits(blended)).any()
    assert Foolbox().plugin("LinfPGD").threat.tasks == {"multiclass"}


def test_l0_is_kept_by_its_largest_changes(network, images, draws) -> None:
    net, x = network(3), images(6)
    goal = Untargeted(net.logits(x).argmax(dim=1))
    found = plugin("L0FMNAttack", steps=30).perturb(net, x, goal, Budget("l0", 3.0), draws(6))
    assert int((found != x).flatten(1).sum(dim=1).max()) <= 3


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
def test_drawn_back_images_are_within_and_others_untouched(images, norm) -> None:
    x = images(4)
    far = 1 - x
    near = x.clone()
    near[:, 0, 0, 0] += 0.01
    budget = Budget(norm, 5.0 if norm == "l0" else 0.1)
    drawn = (within(x, far, budget) - x).flatten(1)
    size = {"linf": drawn.abs().amax(1), "l2": drawn.norm(dim=1), "l1": drawn.abs().sum(1), "l0": (drawn != 0).sum(1)}
    assert (size[norm] <= budget.eps * (1 + 1e-5)).all()
    assert torch.allclose(within(x, near, budget), near)


def test_instances_travel_and_boxes_are_needed() -> None:
    attack = plugin("LinfPGD", steps=3)
    assert pickle.loads(pickle.dumps(attack)) == attack
    assert "leave out box=none" in attack.unsuited(BudgetSpec.parse("linf:0.1 box=none"), None)
    with pytest.raises(PluginError, match="did you mean 'foolbox:LinfPGD'"):
        Registry.discover().find("attack", "foolbox:LinfPDG")
