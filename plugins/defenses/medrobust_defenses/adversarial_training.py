"""Adversarial training: every batch is replaced by its adversarial images."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from medrobust import (
    Attack,
    BudgetSpec,
    Classifier,
    Count,
    NonNegative,
    Reference,
    SampleRNG,
    Training,
    TrainingDefense,
    Untargeted,
)

from .references import MADRY


@dataclass(frozen=True)
class AdversarialTraining(TrainingDefense):
    """Adversarial training (Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR 2018).

    Each batch is replaced by adversarial images against the current model, away from the true labels. The model is kept
    after every epoch, so that an interrupted run continues from there; the optimiser starts afresh in each epoch.

    Attributes:
        attack: the attack per image.
        budget: its budget; zeta refers to the training images.
        epochs: number of epochs, after the training by the model's own recipe.
        learning_rate: first learning rate of a cosine decay over the epochs; 0 takes that of the model's recipe.
    """

    name: ClassVar[str] = "adversarial-training"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (MADRY,)
    attack: Attack
    budget: BudgetSpec
    epochs: Count = 10
    learning_rate: NonNegative = 0.0

    def train(self, training: Training) -> Iterator[nn.Module]:
        budget = training.budget(self.budget)
        first = self.learning_rate or training.recipe.learning_rate
        for epoch in range(training.done, self.epochs):
            classifier = training.classifier(live=True)
            seed = training.seed + epoch + 1

            def attacked(
                images: Tensor, labels: Tensor, index: Tensor, seed: int = seed, classifier: Classifier = classifier
            ) -> Tensor:
                rng = SampleRNG.for_ids(seed, training.ids[index.cpu().numpy()].tolist(), images.device)
                return training.craft(self.attack, classifier, images, Untargeted(labels), budget, rng)

            rate = first * (1 + math.cos(math.pi * epoch / self.epochs)) / 2
            recipe = dataclasses.replace(training.recipe, epochs=1, learning_rate=rate, schedule="constant")
            training.fit(recipe, seed, after=attacked)
            training.progress(epoch + 1, self.epochs, f"adversarial epoch {epoch + 1}")
            yield training.module
