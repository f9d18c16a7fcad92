"""Goals: the loss that is ascended and when an attack has what it wants."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from medrobust import Targeted, Untargeted, cross_entropy, decide, decisions, predictions

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 3.0, 1.0], [1.0, 1.5, 4.0]])
LABELS = torch.tensor([0, 2, 2])


def by_hand(logits: Tensor, labels: Tensor) -> Tensor:
    return torch.stack([-torch.log(torch.exp(z)[y] / torch.exp(z).sum()) for z, y in zip(logits, labels, strict=True)])


def test_cross_entropy_is_per_image() -> None:
    torch.testing.assert_close(cross_entropy(LOGITS, LABELS), by_hand(LOGITS, LABELS))


def test_multilabel_cross_entropy_is_the_mean_over_the_sigmoids() -> None:
    labels = torch.tensor([[1, 0, 0], [0, 1, 1], [1, 1, 1]])
    p = torch.sigmoid(LOGITS)
    expected = -(labels * torch.log(p) + (1 - labels) * torch.log(1 - p)).mean(dim=1)
    torch.testing.assert_close(cross_entropy(LOGITS, labels), expected)


def test_untargeted_ascends_away_and_targeted_towards() -> None:
    torch.testing.assert_close(Untargeted(LABELS).loss(LOGITS), by_hand(LOGITS, LABELS))
    torch.testing.assert_close(Targeted(LABELS).loss(LOGITS), -by_hand(LOGITS, LABELS))


def test_success_is_what_the_decision_says() -> None:
    assert predictions(LOGITS).tolist() == [0, 1, 2]
    assert Untargeted(LABELS).reached(LOGITS).tolist() == [False, True, False]
    assert Targeted(LABELS).reached(LOGITS).tolist() == [True, False, True]


def test_multilabel_success_needs_one_wrong_or_all_right() -> None:
    logits = torch.tensor([[1.0, -1.0], [1.0, 1.0], [-1.0, 0.0]])
    labels = torch.tensor([[1, 0], [1, 0], [0, 1]])
    assert decisions(logits).tolist() == [[1, 0], [1, 1], [0, 0]]
    assert Untargeted(labels).reached(logits).tolist() == [False, True, True]
    assert Targeted(labels).reached(logits).tolist() == [True, False, False]


def test_decide_follows_the_task() -> None:
    assert torch.equal(decide(LOGITS, multilabel=False), predictions(LOGITS))
    assert torch.equal(decide(LOGITS, multilabel=True), decisions(LOGITS))


@pytest.mark.parametrize("goal", [Untargeted, Targeted])
def test_a_mask_keeps_the_images_in_play(goal: type[Untargeted | Targeted]) -> None:
    mask = torch.tensor([True, False, True])
    kept = goal(LABELS)[mask]
    assert isinstance(kept, goal)
    assert len(kept) == 2
    torch.testing.assert_close(kept.loss(LOGITS[mask]), goal(LABELS).loss(LOGITS)[mask])
