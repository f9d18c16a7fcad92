"""From what a grid asks of an attack to what it is asked of a batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from medrobust import DataError, Targeted, Untargeted
from medrobust.engine.crafting.goals import goal_for
from medrobust.engine.models.classifier import TorchClassifier
from medrobust.grid.blocks import GoalSpec

CLASSES = ("a", "b", "c")


def images(count: int = 6) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def classifier(outputs: int = 3, task: str = "multiclass") -> TorchClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))
    return TorchClassifier(module, task, outputs)  # type: ignore[arg-type]


def test_goals_from_labels_predictions_and_targets() -> None:
    batch, labels = images(), torch.tensor([0, 1, 2, 0, 1, 2])
    seen = classifier()
    goal = goal_for(GoalSpec("untargeted"), labels, seen, batch, CLASSES)
    assert isinstance(goal, Untargeted)
    assert torch.equal(goal.labels, labels)
    predicted = goal_for(GoalSpec("predicted"), None, seen, batch, CLASSES)
    assert torch.equal(predicted.labels, seen.logits(batch).argmax(1))
    targeted = goal_for(GoalSpec("target", "c"), None, seen, batch, CLASSES)
    assert isinstance(targeted, Targeted)
    assert targeted.labels.tolist() == [2] * 6
    several = goal_for(GoalSpec("target", "b"), None, classifier(task="multilabel"), batch, CLASSES)
    assert several.labels.tolist() == [[0, 1, 0]] * 6
    own = goal_for(GoalSpec("predicted"), None, classifier(task="multilabel"), batch, CLASSES)
    assert own.labels.shape == (6, 3)
    with pytest.raises(DataError, match='no labels; use goal = "predicted" or a target class'):
        goal_for(GoalSpec("untargeted"), None, seen, batch, CLASSES)
