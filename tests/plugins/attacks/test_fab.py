"""FAB: projections against a solver, distances that are known, and the laws of an attack."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize
from torch import nn

from medrobust import Budget, Untargeted
from medrobust_attacks import FAB, PGD
from medrobust_attacks.fab import nearest_on_plane

pytestmark = pytest.mark.numerical

NORMS = pytest.mark.parametrize("norm", ["linf", "l2"])


def solved(point, normal, offset, norm, box):
    """The length of the shortest step to the plane inside the box, by a general solver; None where there is none."""
    x, w, n = point.double().numpy().ravel(), normal.double().numpy().ravel(), point.numel()
    low, high = (box[0] - x, box[1] - x) if box else (np.full(n, -np.inf), np.full(n, np.inf))
    if norm == "linf":
        eye, one = np.eye(n), np.ones((n, 1))
        found = linprog(
            np.r_[np.zeros(n), 1],
            A_ub=np.block([[eye, -one], [-eye, -one]]),
            b_ub=np.zeros(2 * n),
            A_eq=np.r_[w, 0][None],
            b_eq=[offset],
            bounds=[*zip(low, high, strict=True), (0, None)],
        )
        return found.fun if found.success else None
    found = minimize(
        lambda d: d @ d,
        np.zeros(n),
        jac=lambda d: 2 * d,
        bounds=list(zip(low, high, strict=True)) if box else None,
        constraints={"type": "eq", "fun": lambda d: w @ d - offset, "jac": lambda d: w},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return np.sqrt(found.fun) if found.success else None


@NORMS
@pytest.mark.parametrize("box", [(0.0, 1.0), None], ids=["box", "no box"])
@pytest.mark.parametrize("share", [-0.9, -0.2, 0.05, 0.5, 0.99])
def test_projections_are_those_of_a_solver(norm, box, share) -> None:
    generator = torch.Generator().manual_seed(3)
    points = torch.rand(6, 1, 2, 4, generator=generator)
    points[0, 0, 0], points[1, 0, 1] = 0.0, 1.0
    normal = torch.randn(6, 1, 2, 4, generator=generator)
    normal[2, 0, 0, :2] = 0.0
    room = torch.where(normal * share > 0, 1 - points, points)
    offset = share * (normal.abs() * room).flatten(1).sum(dim=1)  # a share of what the box allows
    steps = nearest_on_plane(points, normal, offset, norm, box)
    torch.testing.assert_close((steps * normal).flatten(1).sum(dim=1), offset, rtol=1e-4, atol=1e-5)
    if box:
        assert float((points + steps).min()) + 1e-6 >= 0
        assert float((points + steps).max()) <= 1 + 1e-6
    for point, w, c, step in zip(points, normal, offset, steps, strict=True):
        expected = solved(point, w, float(c), norm, box)
        assert expected is not None
        length = step.abs().max() if norm == "linf" else step.norm()
        assert float(length) == pytest.approx(expected, rel=2e-3, abs=1e-5)


@NORMS
def test_a_plane_outside_the_box_is_approached_as_far_as_it_goes(norm) -> None:
    points = torch.full((2, 1, 2, 2), 0.25)
    normal = torch.tensor([1.0, -2.0, 0.5, 0.0]).view(1, 1, 2, 2).repeat(2, 1, 1, 1)
    steps = nearest_on_plane(points, normal, torch.tensor([100.0, 0.0]), norm, (0.0, 1.0))
    assert steps[0].flatten().tolist() == pytest.approx([0.75, -0.25, 0.75, 0.0])
    assert not steps[1].any()
    assert not nearest_on_plane(points, torch.zeros_like(normal), torch.tensor([1.0, 2.0]), norm, (0.0, 1.0)).any()


@NORMS
def test_it_finds_the_distance_of_a_linear_model(network, images, draws, norm) -> None:
    net, x = network(2), images(6)
    with torch.no_grad():
        net._net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).requires_grad_(False)
        net._net[1].weight.copy_(torch.randn(2, 64, generator=torch.Generator().manual_seed(0)))
    labels = net.logits(x).argmax(dim=1)
    found = FAB(steps=20).perturb(net, x, Untargeted(labels), Budget(norm, None, box=None), draws(6))
    assert (net.logits(found).argmax(dim=1) != labels).all()
    weight = net._net[1].weight[1] - net._net[1].weight[0]
    margin = net.logits(x).diff(dim=1).abs().squeeze(1)
    distance = margin / (weight.abs().sum() if norm == "linf" else weight.norm())
    moved = (found - x).flatten(1)
    size = moved.abs().amax(dim=1) if norm == "linf" else moved.norm(dim=1)
    assert (size >= distance * 0.999).all()
    assert (size <= distance * 1.06).all()  # a step goes 5 % beyond the boundary


@NORMS
def test_distances_decide_which_images_break_within_a_radius(network, images, draws, norm) -> None:
    net, x = network(4, channels=3), images(40, 3)
    goal = Untargeted(net.logits(x).argmax(dim=1))
    closest = FAB(steps=25).perturb(net, x, goal, Budget(norm, None), draws(40))
    moved = (closest - x).flatten(1)
    size = moved.abs().amax(dim=1) if norm == "linf" else moved.norm(dim=1)
    eps = float(size.median())
    found = FAB(steps=25).perturb(net, x, goal, Budget(norm, eps), draws(40))
    within = size <= eps
    assert torch.equal(goal.reached(net.logits(found)), within)
    assert torch.equal(found[within], closest[within])
    assert torch.equal(found[~within], x[~within])
    # As near as a search by gradient with the same radius comes, for the classes it may reach.
    walked = goal.reached(net.logits(PGD(steps=40).perturb(net, x, goal, Budget(norm, 0.8 * eps), draws(40))))
    assert float((walked & ~within).float().mean()) < 0.1


def test_images_that_leave_do_not_change_the_others(network, images, draws) -> None:
    net, x = network(4), images(7)
    goal, budget = Untargeted(net.logits(x).argmax(dim=1)), Budget("linf", 0.05)
    attack = FAB(steps=10, rank=2)
    whole = [p.clone() for p in attack.iterates(net, x, goal, budget, draws(7))]
    assert len(whole) == 10
    assert torch.equal(FAB(steps=4, rank=2).perturb(net, x, goal, budget, draws(7)), whole[3])
    steps = attack.iterates(net, x, goal, budget, draws(7))
    for _ in range(4):
        next(steps)
    stay = torch.tensor([True, False, True, True, False, False, True])
    rest = [p.clone() for p in (steps.send(stay), *steps)]
    assert (rest[-1] - whole[-1][stay]).abs().max() < 1e-6
