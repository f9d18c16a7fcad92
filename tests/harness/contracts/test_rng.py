"""SampleRNG: numbers belong to an image, not to its batch."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medrobust import SampleRNG

IDS = [f"image-{i}" for i in range(12)]


def draw(rng: SampleRNG) -> torch.Tensor:
    first = rng.uniform((2, 3))
    second = rng.normal((4,))
    third = rng.integers((2,), 1000)
    return torch.cat([first.flatten(1), second, third.float()], dim=1)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(12)), st.integers(1, 12))
def test_order_and_batch_size_do_not_matter(order: list[int], size: int) -> None:
    whole = draw(SampleRNG.for_ids(3, IDS))
    batches = [order[i : i + size] for i in range(0, 12, size)]
    parts = torch.cat([draw(SampleRNG.for_ids(3, [IDS[i] for i in batch])) for batch in batches])
    assert torch.equal(parts, whole[torch.tensor(order)])


def test_an_image_draws_the_same_whoever_left_the_batch_before() -> None:
    alone, together = SampleRNG.for_ids(0, IDS[:1]), SampleRNG.for_ids(0, IDS)
    together[torch.tensor([False] + [True] * 11)].uniform((5,))  # image 0 was not in play
    expected = [alone.uniform((5,))[0], alone.uniform((5,))[0]]
    assert torch.equal(together[torch.tensor([0])].uniform((5,))[0], expected[0])
    assert torch.equal(together.uniform((5,))[0], expected[1])


def test_views_of_views_share_their_counters() -> None:
    rng = SampleRNG.for_ids(0, IDS)
    half = rng[torch.arange(6)]
    assert len(half) == 6
    quarter = half[torch.tensor([True, True, True, False, False, False])]
    first, again = quarter.uniform((3,)), rng.uniform((3,))[:3]
    assert not torch.equal(first, again)


def test_streams_start_over_and_each_restart_is_another() -> None:
    rng = SampleRNG.for_ids(0, IDS)
    first = rng.uniform((50,))
    part = torch.tensor([2, 5])
    assert torch.equal(rng.restarted().uniform((50,)), first)
    assert torch.equal(rng[part].restarted().uniform((50,)), first[part])
    again = [rng.restarted(n).uniform((50,)) for n in (1, 2)]
    assert torch.equal(rng.restarted(1)[part].uniform((50,)), again[0][part])
    second = rng.uniform((50,))  # a restart does not move the stream it came from
    assert torch.equal(SampleRNG.for_ids(0, IDS).uniform((50,)), first)
    for a, b in ((first, again[0]), (again[0], again[1]), (second, again[0]), (first, second)):
        assert (a == b).float().mean() < 0.01


def test_draws_differ_between_images_draws_and_seeds() -> None:
    rng = SampleRNG.for_ids(0, IDS)
    first, second = rng.uniform((50,)), rng.uniform((50,))
    other = SampleRNG.for_ids(1, IDS).uniform((50,))
    for a, b in ((first[0], first[1]), (first, second), (first, other)):
        assert (a == b).float().mean() < 0.01


def test_negative_and_large_seeds_are_seeds() -> None:
    assert not torch.equal(SampleRNG.for_ids(-1, IDS).uniform((3,)), SampleRNG.for_ids(2**63, IDS).uniform((3,)))


def test_uniform_fills_its_interval_evenly() -> None:
    values = SampleRNG.for_ids(5, IDS).uniform((1, 100, 100), -2.0, 3.0)
    assert values.shape == (12, 1, 100, 100)
    assert values.dtype == torch.float32
    assert -2.0 <= float(values.min()) < -1.99
    assert 2.99 < float(values.max()) <= 3.0
    shares = torch.histc(values, bins=10) / values.numel()
    # Three and a half standard errors of a share of 0.1 among 120,000.
    assert (shares - 0.1).abs().max() < 3.5 * (0.09 / values.numel()) ** 0.5


def test_normal_has_moments_and_tails_of_the_normal() -> None:
    values = SampleRNG.for_ids(5, IDS).normal((10_000,)).double()
    n = values.numel()
    assert abs(float(values.mean())) < 4 / n**0.5
    assert abs(float(values.var()) - 1) < 4 * (2 / n) ** 0.5
    assert abs(float((values.abs() > 1.959964).double().mean()) - 0.05) < 4 * (0.0475 / n) ** 0.5
    assert abs(float((values[:, 1:] * values[:, :-1]).mean())) < 4 / n**0.5


def test_integers_are_even_and_below_their_bound() -> None:
    values = SampleRNG.for_ids(5, IDS).integers((5000,), 7)
    assert values.dtype == torch.int64
    shares = torch.bincount(values.flatten(), minlength=7) / values.numel()
    assert len(shares) == 7
    assert (shares - 1 / 7).abs().max() < 0.01
