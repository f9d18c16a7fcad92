"""Local intrinsic dimensionality: known dimensions, brute force, and what is too few."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from medrobust import Features, Learning, PluginError
from medrobust_defenses import LocalIntrinsicDimension
from medrobust_defenses.detectors.intrinsic_dimension import local_dimension

pytestmark = pytest.mark.numerical

LAYER = "penultimate"
Seen = Callable[..., Features]
Known = Callable[..., Learning]


@pytest.mark.parametrize("dimension", [1, 2, 5, 10])
def test_the_dimension_of_a_ball_is_found_whatever_space_it_lies_in(dimension: int) -> None:
    generator = torch.Generator().manual_seed(dimension)
    # A ball around the points that are asked about, turned into a space of 30 dimensions.
    directions = torch.randn(40_000, dimension, generator=generator, dtype=torch.float64)
    radii = torch.rand(40_000, 1, generator=generator, dtype=torch.float64) ** (1 / dimension)
    ball = radii * directions / directions.norm(dim=1, keepdim=True)
    turned, _ = torch.linalg.qr(torch.randn(30, 30, generator=generator, dtype=torch.float64))
    sample = torch.cat([ball, torch.zeros(len(ball), 30 - dimension, dtype=torch.float64)], dim=1) @ turned
    points = torch.zeros(1, 30, dtype=torch.float64)
    found = float(local_dimension(points, sample, neighbours=400))
    # The deviation of the estimate is the dimension over the root of the neighbours.
    assert found == pytest.approx(dimension, rel=4 / math.sqrt(400))


@pytest.mark.parametrize("left_out", [0, 1])
def test_the_estimate_is_that_of_equation_10_by_brute_force(left_out: int) -> None:
    draws = np.random.default_rng(0)
    points, sample = draws.normal(size=(9, 4)), draws.normal(size=(30, 4))
    expected = []
    for point in points:
        radii = sorted(math.dist(point, other) for other in sample)[left_out : left_out + 8]
        expected.append(-1 / np.mean([math.log(radius / radii[-1]) for radius in radii]))
    found = local_dimension(torch.as_tensor(points), torch.as_tensor(sample), 8, left_out)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


def test_equal_images_and_equal_distances_have_finite_estimates() -> None:
    sample = torch.eye(6, dtype=torch.float64)
    assert torch.isfinite(local_dimension(torch.zeros(1, 6, dtype=torch.float64), sample, 4)).all()
    assert torch.isfinite(local_dimension(sample[:1], sample[:1].expand(6, 6), 4)).all()


def test_layers_count_one_by_one_and_what_is_odd_in_one_is_found(seen: Seen, learning: Known) -> None:
    def two(of: Features, odd: Features) -> Features:
        return Features({"first": of.layers[LAYER], "second": odd.layers[LAYER]}, of.predicted)

    train = two(seen(120, 2), seen(120, 3))
    given = learning(
        clean=two(seen(80, 4), seen(80, 5)),
        adversarial=two(seen(80, 6), seen(80, 7, shift=6.0)),
        train=lambda: (train, train.predicted),
    )
    detector = LocalIntrinsicDimension(layers=("first", "second"))
    state = detector.fit(given)
    assert state["weights"].shape == (2,)
    clean, odd = detector.score(state, given.clean), detector.score(state, given.adversarial)
    assert (odd[:, None] > clean[None, :]).mean() > 0.9


def test_the_gradient_is_that_of_the_score(seen: Seen, learning: Known) -> None:
    detector, some = LocalIntrinsicDimension(), seen(10, 4)
    state = detector.fit(learning())
    points = torch.as_tensor(some.layers[LAYER]).double().requires_grad_(True)
    function = detector.differentiable(state)
    assert function is not None
    scores = function({LAYER: points}, torch.zeros(10, 2, dtype=torch.float64))
    np.testing.assert_allclose(scores.detach().numpy(), detector.score(state, some), rtol=1e-6)
    assert torch.autograd.grad(scores.sum(), points)[0].abs().sum() > 0


def test_fewer_images_than_neighbours_are_refused(seen: Seen, learning: Known) -> None:
    train = seen(15, 2)
    few = learning(train=lambda: (train, train.predicted))
    with pytest.raises(
        PluginError, match=r"lid: 20 neighbours are asked for among 15 clean images; lower `neighbours`$"
    ):
        LocalIntrinsicDimension().fit(few)
    with pytest.raises(
        PluginError, match=r"20 neighbours .* among 10 clean images; lower `neighbours` or raise `sample`"
    ):
        LocalIntrinsicDimension(sample=10).fit(learning())
    with pytest.raises(PluginError, match="no neighbour among 1 clean"):
        LocalIntrinsicDimension(sample_of="self").fit(learning(judged=seen(1, 3)))


def test_the_released_code_takes_all_others_of_a_minibatch_with_fewer_images(seen: Seen, learning: Known) -> None:
    clean = seen(9, 3)
    detector = LocalIntrinsicDimension(sample_of="self")
    state = detector.fit(learning(judged=clean))
    points = torch.as_tensor(clean.layers[LAYER]).double()
    expected = local_dimension(points, points, 8, 1)
    np.testing.assert_allclose(detector._dimensions(state, clean)[:, 0], expected.numpy(), rtol=1e-9)


def test_minibatches_of_the_released_code_hold_each_image_against_its_own(seen: Seen, learning: Known) -> None:
    """An image and its version that is next to it have the same neighbours, however many minibatches there are."""
    clean = seen(90, 3)
    moved = Features({LAYER: clean.layers[LAYER] + np.float32(1e-6)}, clean.predicted)
    detector = LocalIntrinsicDimension(sample_of="self", sample=45, neighbours=10)
    state = detector.fit(learning(judged=clean))
    assert state[f"sample {LAYER}"].shape == (90, 6)
    halves = [
        local_dimension(torch.as_tensor(part).double(), torch.as_tensor(part).double(), 10, 1)
        for part in np.array_split(clean.layers[LAYER], 2)
    ]
    np.testing.assert_allclose(detector._dimensions(state, clean)[:, 0], torch.cat(halves).numpy(), rtol=1e-9)
    np.testing.assert_allclose(detector.score(state, moved), detector.score(state, clean), rtol=1e-3, atol=1e-3)


def test_neighbours_among_the_images_that_are_scored_are_declared() -> None:
    assert LocalIntrinsicDimension().leaks == ""
    assert "sample_of = 'self'" in LocalIntrinsicDimension(sample_of="self").leaks
