"""The l2 form of the Square attack: its patterns by the paper's formula, and what a move keeps."""

from __future__ import annotations

import pytest
import torch

from medrobust import Budget
from medrobust_attacks.geometry import lengths
from medrobust_attacks.square_windows import moved, pyramid, tiled, two_hills, window_side

pytestmark = pytest.mark.numerical

BUDGET = Budget("l2", 0.5)


@pytest.mark.parametrize(("height", "width"), [(1, 3), (3, 7), (4, 7), (5, 5)])
def test_a_hill_is_the_papers_sum(height: int, width: int) -> None:
    found = pyramid(height, width)
    expected = torch.zeros(height, width)
    # Boxes around the centre that grow by one pixel on each side, each adding the inverse square of its number.
    for k in range(max(height, width) // 2 + 1):
        top, left = height // 2 - k, width // 2 - k
        box = expected[max(top, 0) : max(top + 2 * k + 1, 0), max(left, 0) : max(left + 2 * k + 1, 0)]
        box += 1 / (k + 1) ** 2
    torch.testing.assert_close(found, expected / expected.norm())


def test_two_hills_are_opposite_and_of_unit_length() -> None:
    pattern = two_hills(7)
    assert float(pattern.norm()) == pytest.approx(1)
    assert (pattern[:3] > 0).all()
    assert (pattern[3:] < 0).all()
    assert two_hills(1).tolist() == [[1.0]]


def test_windows_are_odd_and_at_least_three() -> None:
    assert [window_side(side, 28, 28) for side in (1, 3, 4, 25, 28)] == [3, 3, 5, 25, 28]
    assert window_side(9, 8, 12) == 8


@pytest.mark.parametrize("size", [(28, 28), (8, 8), (30, 20), (3, 4)], ids=str)
def test_the_start_covers_the_image_at_the_full_length(draws, size) -> None:
    x = torch.full((4, 3, *size), 0.5)
    found = tiled(x, BUDGET, draws(4)) - x
    torch.testing.assert_close(lengths(found, "l2"), torch.full((4,), 0.5))
    assert (found != 0).float().mean() > 0.7
    assert not torch.equal(found[0], found[1])


def test_a_move_gives_what_one_window_loses_to_another(draws) -> None:
    x = torch.full((6, 2, 12, 12), 0.5)
    before = tiled(x, BUDGET, draws(6))
    after = moved(before, x, 3, BUDGET, draws(6, 1))
    torch.testing.assert_close(lengths(after - x, "l2"), torch.full((6,), 0.5))
    changed = (after - before).abs() > 1e-6
    assert changed.any(dim=1).flatten(1).sum(dim=1).max() <= 18  # two windows of nine pixels
    lost = (before != x) & (after == x)
    assert (lost.flatten(1).sum(dim=1) > 0).any()


def test_what_the_box_cuts_off_is_spent_elsewhere(draws) -> None:
    x = torch.zeros(3, 1, 16, 16)
    best = tiled(x, BUDGET, draws(3))
    assert lengths(best - x, "l2").max() < 0.45  # the hollows are lost to the box
    for turn in range(60):
        best = moved(best, x, 3, BUDGET, draws(3, turn))
    assert 0 <= float(best.min()) <= float(best.max()) <= 1
    assert lengths(best - x, "l2").max() <= 0.5 * (1 + 1e-5)
