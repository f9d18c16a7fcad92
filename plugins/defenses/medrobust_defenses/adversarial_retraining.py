"""Adversarial retraining against universal perturbations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from medrobust import (
    BudgetSpec,
    Count,
    DataError,
    Goal,
    Positive,
    Reference,
    SampleRNG,
    Targeted,
    Training,
    TrainingDefense,
    UniversalAttack,
    Untargeted,
    cumulative,
)

from .references import HIRANO


@dataclass(frozen=True)
class AdversarialRetraining(TrainingDefense):
    """Adversarial retraining with universal perturbations (hirano2021, section "Adversarial retraining").

    An iteration fits several perturbations against the current model, leaves a random half of the training images
    clean, adds one of the perturbations, chosen at random, to each image of the other half, and trains the model for a
    few epochs on the true labels. The paper states neither the learning rate nor whether augmentation, balancing and
    optimiser are kept: here the recipe's augmentation and balancing are, the optimiser starts afresh, and the rate is
    the middle one of the paper's schedule.

    Attributes:
        attack: the universal attack.
        budget: its budget; zeta refers to the training images.
        target: class of targeted perturbations; empty for untargeted ones.
        iterations: number of iterations (cumulative; the model after each is a target of its own).
        perturbations: perturbations per iteration; they differ by their random order.
        epochs: training epochs per iteration.
        learning_rate: learning rate of these epochs.
    """

    name: ClassVar[str] = "adversarial-retraining"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (HIRANO,)
    attack: UniversalAttack
    budget: BudgetSpec
    target: str = ""
    iterations: Count = cumulative(5)
    perturbations: Count = 10
    epochs: Count = 5
    learning_rate: Positive = 1e-4

    def train(self, training: Training) -> Iterator[nn.Module]:
        goal = self._goal(training)
        budget = training.budget(self.budget)
        settings = {"epochs": self.epochs, "learning_rate": self.learning_rate, "schedule": "constant"}
        recipe = dataclasses.replace(training.recipe, **settings, select_on="last")  # type: ignore[arg-type]
        total = self.iterations * (self.perturbations + 1)
        for iteration in range(training.done, self.iterations):
            classifier = training.classifier()
            fitted = []
            for number in range(self.perturbations):
                rng = SampleRNG.for_ids(training.seed + 1000 * iteration + number, training.ids.tolist())
                fitted.append(training.perturbation(self.attack, classifier, goal, budget, rng).cpu())
                training.progress(iteration * (self.perturbations + 1) + number, total, f"iteration {iteration + 1}")
            # Number 0 is no perturbation; an exact half of the images keeps it.
            stack = torch.stack([torch.zeros_like(fitted[0]), *fitted])
            chosen = self._assign(len(training.images), training.seed + iteration)

            def perturbed(
                images: Tensor, labels: Tensor, index: Tensor, stack: Tensor = stack, chosen: Tensor = chosen
            ) -> Tensor:
                moved = images + stack[chosen[index]].to(images.device)
                return moved if budget.box is None else moved.clamp_(*budget.box)

            training.fit(recipe, training.seed + iteration + 1, before=perturbed)
            yield training.module

    def _assign(self, images: int, seed: int) -> Tensor:
        """For each image, 0 (clean) or the number of its perturbation."""
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randint(1, self.perturbations + 1, (images,), generator=generator)
        chosen[torch.randperm(images, generator=generator)[: images // 2]] = 0
        return chosen

    def _goal(self, training: Training) -> Goal:
        if not self.target:
            return Untargeted(training.labels)
        if self.target not in training.classes:
            classes = ", ".join(training.classes)
            raise DataError(f"adversarial-retraining: no class is called '{self.target}'; the data set has {classes}")
        return Targeted(torch.full_like(training.labels, training.classes.index(self.target)))
