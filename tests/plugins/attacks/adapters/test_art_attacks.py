"""ART by name: what it returns is what the library returns, and what it supports is what the library does."""

from __future__ import annotations

import art.attacks.evasion as evasion
import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from medrobust import Budget, PluginError, Targeted, Untargeted
from medrobust.api import Registry
from medrobust.results.verdict import verify
from medrobust_attacks.adapters.art_attacks import ART_

pytestmark = pytest.mark.filterwarnings("ignore")


def plugin(name: str, **fields):
    return ART_().plugin(name)(**fields)


def library(net, classes: int):
    return PyTorchClassifier(
        net.module, nn.CrossEntropyLoss(), (1, 8, 8), classes, clip_values=(0, 1), device_type="cpu"
    )


@pytest.mark.parametrize(
    ("name", "fields", "theirs", "budget", "targeted"),
    [
        ("ProjectedGradientDescent", {"max_iter": 5}, {"eps_step": 0.05 / 3}, Budget("linf", 0.05), False),
        ("ProjectedGradientDescent", {"max_iter": 5}, {"eps_step": 0.5 / 3, "norm": 2}, Budget("l2", 0.5), True),
        ("CarliniL2Method", {"max_iter": 5, "binary_search_steps": 2}, {"batch_size": 32}, Budget("l2", None), False),
        ("DeepFool", {"max_iter": 10}, {"batch_size": 32}, Budget("l2", None), False),
    ],
)
def test_images_equal_those_of_the_library(network, images, draws, name, fields, theirs, budget, targeted) -> None:
    net, x = network(3), images(6)
    labels = net.logits(x).argmax(dim=1)
    labels = (labels + 1) % 3 if targeted else labels
    given = {**fields, **theirs, "verbose": False}
    given |= {"eps": budget.eps, "targeted": targeted} if budget.eps is not None else {}
    np.random.seed(0)  # noqa: NPY002 - the generator ART draws from
    expected = getattr(evasion, name)(library(net, 3), **given).generate(x.numpy(), labels.numpy())
    np.random.seed(0)  # noqa: NPY002
    goal = Targeted(labels) if targeted else Untargeted(labels)
    found = plugin(name, **fields).perturb(net, x, goal, budget, draws(6))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    assert (found - x).abs().max() > 1e-3 or name == "CarliniL2Method"  # few steps do not find anything


def test_the_attacks_whose_requirements_are_met() -> None:
    (found,) = (each for each in Registry.discover().libraries("art") if each.kind == "attack")
    names = found.names()
    assert {"SquareAttack", "HopSkipJump", "AdversarialPatch"} <= set(names)
    assert not {"DecisionTreeAttack", "ImperceptibleASR", "DPatch"} & set(names)
    with pytest.raises(PluginError, match="is written for TensorFlow"):
        found.plugin("ProjectedGradientDescentTensorFlowV2")
    with pytest.raises(PluginError, match="is for detectors of objects"):
        found.plugin("SNAL")
    with pytest.raises(PluginError, match="needs `laser_generator`"):
        found.plugin("LaserAttack")


@pytest.mark.parametrize(
    ("name", "norms", "knowledge", "minimal"),
    [
        ("ProjectedGradientDescent", {"linf", "l2", "l1"}, "white-box", False),
        ("SquareAttack", {"linf", "l2"}, "score-based", False),
        ("HopSkipJump", {"linf", "l2"}, "decision-based", True),
        ("CarliniL0Method", {"l0"}, "white-box", True),
        ("CarliniLInfMethod", {"linf"}, "white-box", True),
        ("PixelAttack", {"l0"}, "score-based", False),
        ("AdversarialPatch", {"unbounded"}, "white-box", False),
    ],
)
def test_what_an_attack_supports_follows_from_the_library(name, norms, knowledge, minimal) -> None:
    threat = ART_().plugin(name).threat
    assert threat.norms >= norms
    assert (threat.knowledge, threat.minimal) == (knowledge, minimal)


def test_two_classes_with_one_logit(network, images, draws) -> None:
    """SignOPT takes every network of two classes for one with a single output, and refuses it."""
    net, x = network(1), images(4)
    labels = (net.logits(x)[:, 0] > 0).long()
    goal = Untargeted(labels)
    for name, fields in (("FastGradientMethod", {}), ("SignOPTAttack", {"max_iter": 2, "num_trial": 20, "k": 5})):
        norm = "linf" if name == "FastGradientMethod" else "l2"
        budget = Budget(norm, 0.3 if norm == "linf" else None)
        assert verify(plugin(name, **fields).perturb(net, x, goal, budget, draws(4)), x, budget).images is not None


def test_a_patch_changes_what_it_likes_inside_the_box(network, images, draws) -> None:
    net, x = network(3, channels=3), images(4, 3)
    goal, budget = Untargeted(net.logits(x).argmax(dim=1)), Budget("unbounded", None)
    found = verify(plugin("AdversarialPatchPyTorch", max_iter=3).perturb(net, x, goal, budget, draws(4)), x, budget)
    assert found.norms.of("l0").min() > 0
    assert found.norms.linf.max() > 0.1


def test_passes_are_counted_by_the_classifier() -> None:
    """What ART is given is the network that counts, see `Classifier.module`."""
    from medrobust.engine.models.classifier import TorchClassifier

    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval()
    classifier = TorchClassifier(net, "multiclass", 3)
    x = torch.full((2, 1, 2, 2), 0.5)
    plugin("ProjectedGradientDescent", max_iter=4).crafted(
        classifier, x, Untargeted(torch.tensor([0, 1])), Budget("linf", 0.1)
    )
    assert classifier.backward_passes == 8
