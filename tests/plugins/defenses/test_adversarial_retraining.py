"""What adversarial retraining asks of the host: perturbations, an exact half of clean images, and fresh tuning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medrobust import (
    Budget,
    BudgetSpec,
    Classifier,
    DataError,
    Goal,
    Recipe,
    SampleRNG,
    Targeted,
    ThreatModel,
    Training,
    UniversalAttack,
    Untargeted,
)
from medrobust_defenses import AdversarialRetraining

IMAGES = 41
SPEC = BudgetSpec.parse("linf:0.25")


class Numbered(UniversalAttack):
    """Its perturbations are told apart by their size; it remembers what it was asked."""

    name = "numbered"
    threat = ThreatModel(norms={"linf"})

    def __init__(self) -> None:
        self.goals: list[Goal] = []
        self.draws: list[float] = []
        self.budgets: list[Budget] = []

    def fit(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        self.goals.append(goal)
        self.budgets.append(budget)
        self.draws.append(float(rng.uniform((1,)).sum()))
        return torch.full_like(images[0], 0.01 * len(self.goals))


class Host:
    """Stands in for the host: it keeps what `fit` was given and applies it once to all images."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipes: list[Recipe] = []
        self.seeds: list[int] = []
        self.epochs: list[Tensor] = []
        self.told: list[tuple[int, int, str]] = []
        self.module = nn.Flatten()
        self.images = torch.full((IMAGES, 1, 2, 2), 0.9)
        self.labels = torch.arange(IMAGES) % 3
        self.recipe = recipe

    def fit(self, recipe: Recipe, seed: int, *, before: Any = None, after: Any = None) -> None:
        assert after is None
        self.recipes.append(recipe)
        self.seeds.append(seed)
        order = torch.randperm(IMAGES, generator=torch.Generator().manual_seed(seed))
        moved = torch.empty_like(self.images)
        for index in order.split(7):
            moved[index] = before(self.images[index], self.labels[index], index)
        self.epochs.append(moved)

    def training(self, done: int = 0, seed: int = 5) -> Training:
        return Training(
            module=self.module,
            images=self.images,
            labels=self.labels,
            ids=np.array([f"i{n}" for n in range(IMAGES)]),
            classes=("a", "b", "c"),
            recipe=self.recipe,
            seed=seed,
            done=done,
            classifier=lambda *, live=False: None,  # type: ignore[arg-type,return-value]
            fit=self.fit,
            craft=lambda attack, *given: attack.perturb(*given).detach(),
            perturbation=lambda attack, net, *given: attack.fit(net, self.images, *given),
            budget=lambda spec: spec.resolve(),
            progress=lambda *told: self.told.append(told),
        )


RECIPE = Recipe(augment=("hflip",), balance="oversample", optimizer="sgd", epochs=50, select_on="val")


def ran(done: int = 0, recipe: Recipe = RECIPE, **fields: Any) -> tuple[Host, Numbered]:
    attack, host = Numbered(), Host(recipe)
    made = {"iterations": 3, "perturbations": 4, **fields}
    count = sum(1 for _ in AdversarialRetraining(attack, SPEC, **made).train(host.training(done)))
    assert count == made["iterations"] - done
    return host, attack


def test_an_exact_half_stays_clean_and_the_rest_gets_one_perturbation_each() -> None:
    host, _ = ran(perturbations=3)
    assert len(host.epochs) == 3
    for iteration, images in enumerate(host.epochs):
        shift = (images - 0.9).amax(dim=(1, 2, 3))
        assert torch.equal(shift, (images - 0.9).amin(dim=(1, 2, 3)))  # one perturbation for a whole image
        assert int((shift == 0).sum()) == IMAGES // 2
        numbers = {round(float(s) * 100) for s in shift if s > 0}
        assert numbers == {3 * iteration + 1, 3 * iteration + 2, 3 * iteration + 3}
    clean = torch.stack([(e == 0.9).all(dim=(1, 2, 3)) for e in host.epochs])
    assert not torch.equal(clean[0], clean[1])


def test_perturbations_differ_by_their_draws_and_iterations_by_theirs() -> None:
    _, attack = ran()
    assert len(attack.draws) == len(set(attack.draws)) == 12
    assert ran()[1].draws == attack.draws


def test_a_resumed_run_goes_on_with_the_same_draws_and_seeds() -> None:
    whole, attack = ran()
    rest, again = ran(done=2)
    assert again.draws == attack.draws[8:]
    assert rest.seeds == whole.seeds[2:]
    assert len(set(whole.seeds)) == 3


def test_the_recipe_carries_over_but_for_length_and_rate() -> None:
    host, _ = ran(epochs=6, learning_rate=0.002)
    (recipe,) = set(host.recipes)
    assert (recipe.epochs, recipe.learning_rate, recipe.schedule, recipe.select_on) == (6, 0.002, "constant", "last")
    assert (recipe.augment, recipe.balance, recipe.optimizer) == (("hflip",), "oversample", "sgd")


def test_perturbed_images_stay_in_the_box() -> None:
    host, _ = ran(perturbations=12, iterations=1)
    assert float(host.epochs[0].max()) == 1.0
    free = Host(RECIPE)
    list(
        AdversarialRetraining(Numbered(), BudgetSpec.parse("linf:0.25 box=none"), perturbations=12, iterations=1).train(
            free.training()
        )
    )
    assert float(free.epochs[0].max()) == pytest.approx(1.02)


def test_goals_are_the_true_labels_or_the_target() -> None:
    host, attack = ran(iterations=1, perturbations=1)
    assert isinstance(attack.goals[0], Untargeted)
    assert torch.equal(attack.goals[0].labels, host.labels)
    assert attack.budgets[0].eps == 0.25
    _, attack = ran(iterations=1, perturbations=1, target="c")
    assert isinstance(attack.goals[0], Targeted)
    assert attack.goals[0].labels.tolist() == [2] * IMAGES


def test_progress_counts_perturbations() -> None:
    host, _ = ran(iterations=2, perturbations=2)
    assert host.told == [(0, 6, "iteration 1"), (1, 6, "iteration 1"), (3, 6, "iteration 2"), (4, 6, "iteration 2")]


def test_an_unknown_target_is_named_with_the_classes_there_are() -> None:
    with pytest.raises(DataError, match="adversarial-retraining: no class is called 'd'; the data set has a, b, c"):
        ran(target="d")
