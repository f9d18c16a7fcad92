"""The attack that knows the detector: within its budget, at the goal, and less suspicious than one that does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from medrobust import Budget, Classifier, Detection, Norm, SampleRNG, Targeted, Untargeted
from medrobust_attacks import PGD, Adaptive

pytestmark = pytest.mark.numerical

Make = Callable[..., Classifier]
COUNT = 24


@pytest.fixture
def images() -> Tensor:
    return torch.rand(COUNT, 1, 8, 8, generator=torch.Generator().manual_seed(5))


def rng() -> SampleRNG:
    return SampleRNG.for_ids(0, [str(i) for i in range(COUNT)])


def watching(model: Classifier, images: Tensor, *, of_score: bool = True) -> Detection:
    """A detector that finds images suspicious whose features are far from the mean of clean ones."""
    centre = model.features(images).mean(dim=0)

    def loss(features: Tensor, logits: Tensor) -> Tensor:
        return (features - centre).square().sum(dim=1)

    return Detection("penultimate", lambda x: loss(model.features(x), model.logits(x)), loss, of_score)


@pytest.mark.parametrize(("norm", "eps"), [("linf", 24 / 255), ("l2", 0.8)])
def test_it_keeps_its_budget_and_reaches_what_pgd_reaches_unseen(
    network: Make, images: Tensor, norm: Norm, eps: float
) -> None:
    model = network(3)
    goal, budget = Untargeted(model.logits(images).argmax(dim=1)), Budget(norm, eps)
    detection = watching(model, images)
    plain = PGD().perturb(model, images, goal, budget, rng())
    found = Adaptive(steps=20).evade(model, detection, images, goal, budget, rng())
    moved = (found - images).flatten(1)
    assert (moved.abs().amax(dim=1) if norm == "linf" else moved.norm(dim=1)).max() <= eps + 1e-6
    assert found.min() >= 0
    assert found.max() <= 1
    reached = [goal.reached(model.logits(each)) for each in (plain, found)]
    assert reached[1].sum() >= 0.9 * reached[0].sum() > 0
    both = reached[0] & reached[1]
    assert detection.score(found)[both].mean() < 0.8 * detection.score(plain)[both].mean()


def test_of_all_penalties_each_image_is_left_at_its_best(network: Make, images: Tensor) -> None:
    model = network(2)
    goal, budget = Untargeted(model.logits(images).argmax(dim=1)), Budget("linf", 24 / 255)
    detection = watching(model, images)

    def run(*penalties: float) -> tuple[Tensor, Tensor]:
        found = Adaptive(steps=10, penalties=penalties).evade(model, detection, images, goal, budget, rng())
        return goal.reached(model.logits(found)), detection.score(found)

    (first, low), (second, other), (both, least) = run(0.01), run(10.0), run(0.01, 10.0)
    assert torch.equal(both, first | second)
    ranked = torch.stack([low.where(first, torch.inf), other.where(second, torch.inf)]).amin(dim=0)
    torch.testing.assert_close(least[both], ranked[both])


def test_a_target_class_is_reached(network: Make, images: Tensor) -> None:
    model = network(3)
    wanted = (model.logits(images).argmax(dim=1) + 1) % 3
    goal = Targeted(wanted)
    found = Adaptive(steps=20).evade(model, watching(model, images), images, goal, Budget("linf", 0.3), rng())
    assert goal.reached(model.logits(found)).float().mean() > 0.9


def test_passes_are_those_that_its_cost_names(network: Make, images: Tensor) -> None:
    model, attack = network(2), Adaptive(steps=4, penalties=(0.1, 1.0))
    goal = Untargeted(model.logits(images).argmax(dim=1))
    detection = watching(model, images)
    before = model.backward_passes
    attack.evade(model, detection, images, goal, Budget("linf", 0.1), rng())
    assert model.backward_passes - before == attack.cost(COUNT, 2).gradient


def test_without_a_detector_it_cannot_run(network: Make, images: Tensor) -> None:
    with pytest.raises(TypeError, match="adaptive is run by the host against a detector"):
        Adaptive().perturb(network(2), images, Untargeted(torch.zeros(COUNT)), Budget("linf", 0.1), rng())
