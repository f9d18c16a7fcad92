"""What adversarial training asks of the host: one attacked epoch at a time, with a falling rate and draws per image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medrobust import (
    Attack,
    Budget,
    BudgetSpec,
    Classifier,
    Goal,
    Recipe,
    SampleRNG,
    ThreatModel,
    Training,
    Untargeted,
)
from medrobust_defenses import AdversarialTraining

IMAGES = 20
SPEC = BudgetSpec.parse("linf:0.25")
RECIPE = Recipe(learning_rate=0.4, epochs=30, augment=("hflip",), schedule="onecycle", select_on="last")


@dataclass(frozen=True)
class Jitter(Attack):
    """Noise from the draws of each image, away from the true labels."""

    name: ClassVar[str] = "jitter"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        assert isinstance(goal, Untargeted)
        assert budget.eps is not None
        return (images + rng.uniform(images.shape[1:], 0, budget.eps)).requires_grad_(True)


class Host:
    """Stands in for the host's training loop: it keeps what every image became."""

    def __init__(self) -> None:
        self.recipes: list[Recipe] = []
        self.seeds: list[int] = []
        self.epochs: list[Tensor] = []
        self.live: list[bool] = []
        self.told: list[tuple[int, int, str]] = []

    def fit(self, recipe: Recipe, seed: int, *, before: Any = None, after: Any = None) -> None:
        assert before is None
        self.recipes.append(recipe)
        self.seeds.append(seed)
        images, labels = torch.full((IMAGES, 1, 2, 2), 0.5), torch.arange(IMAGES) % 2
        moved = torch.empty_like(images)
        for index in torch.randperm(IMAGES, generator=torch.Generator().manual_seed(seed)).split(6):
            batch = after(images[index], labels[index], index)
            assert not batch.requires_grad
            moved[index] = batch
        self.epochs.append(moved)

    def classifier(self, *, live: bool = False) -> Any:
        self.live.append(live)

    def training(self, done: int) -> Training:
        return Training(
            module=nn.Flatten(),
            images=torch.zeros(IMAGES, 1, 2, 2),
            labels=torch.arange(IMAGES) % 2,
            ids=np.array([f"i{n}" for n in range(IMAGES)]),
            classes=("a", "b"),
            recipe=RECIPE,
            seed=7,
            done=done,
            classifier=self.classifier,
            fit=self.fit,
            craft=lambda attack, *given: attack.perturb(*given).detach(),
            perturbation=lambda attack, *given: attack.fit(*given),
            budget=lambda spec: spec.resolve(),
            progress=lambda *told: self.told.append(told),
        )


def ran(done: int = 0, **fields: Any) -> Host:
    host = Host()
    made = {"epochs": 4, **fields}
    assert sum(1 for _ in AdversarialTraining(Jitter(), SPEC, **made).train(host.training(done))) == 4 - done
    return host


def test_every_image_of_every_epoch_is_attacked_anew() -> None:
    host = ran()
    assert all(bool((e != 0.5).all()) for e in host.epochs)
    assert all(0.5 <= float(e.min()) <= float(e.max()) <= 0.75 for e in host.epochs)
    assert len({e.numpy().tobytes() for e in host.epochs}) == 4
    assert len({i.numpy().tobytes() for i in host.epochs[0]}) == IMAGES
    assert host.live == [True] * 4  # the attack sees the weights as they change


def test_a_resumed_run_goes_on_with_the_same_seeds_rates_and_draws() -> None:
    whole, rest = ran(), ran(done=3)
    assert rest.seeds == whole.seeds[3:]
    assert rest.recipes == whole.recipes[3:]
    assert torch.equal(rest.epochs[0], whole.epochs[3])


def test_the_rate_falls_along_a_cosine_from_that_of_the_recipe() -> None:
    rates = [r.learning_rate for r in ran().recipes]
    assert rates == pytest.approx([0.4, 0.2 * (1 + 2**-0.5), 0.2, 0.2 * (1 - 2**-0.5)])
    assert [r.learning_rate for r in ran(learning_rate=0.1).recipes] == pytest.approx([r / 4 for r in rates])


def test_the_recipe_carries_over_but_for_length_and_rate() -> None:
    for recipe in ran().recipes:
        assert (recipe.epochs, recipe.schedule, recipe.augment) == (1, "constant", ("hflip",))


def test_progress_counts_epochs() -> None:
    assert ran().told == [(n, 4, f"adversarial epoch {n}") for n in (1, 2, 3, 4)]
