"""Square attack: the laws of an attack per image, the paper's schedule, and what queries must buy."""

from __future__ import annotations

import pytest
import torch

from medrobust import Budget, Targeted, Untargeted
from medrobust_attacks import Noise, Square

pytestmark = pytest.mark.numerical

BUDGET = Budget("linf", 0.03)
BUDGETS = pytest.mark.parametrize("budget", [BUDGET, Budget("l2", 0.3)], ids=["linf", "l2"])


@pytest.mark.parametrize("box", [(0.0, 1.0), None], ids=["box", "no box"])
def test_every_pixel_lies_on_a_corner_of_the_ball_and_in_the_box(network, images, draws, box) -> None:
    net, x = network(3, channels=3), images(6, 3)
    budget = Budget("linf", 0.03, box)
    found = Square(queries=20).perturb(net, x, Untargeted(net.logits(x).argmax(dim=1)), budget, draws(6))
    low, high = (x - 0.03, x + 0.03) if box is None else ((x - 0.03).clamp(0, 1), (x + 0.03).clamp(0, 1))
    assert ((found == low) | (found == high)).all()
    assert found.dtype == torch.float32
    assert found.shape == x.shape


@BUDGETS
def test_each_query_costs_one_forward_pass_an_image_and_no_gradient(network, images, draws, budget) -> None:
    net, x = network(3), images(5)
    goal = Untargeted(net.logits(x).argmax(dim=1))
    before = net.forward_passes
    Square(queries=17).perturb(net, x, goal, budget, draws(5))
    assert net.forward_passes - before == 17 * 5
    assert net.backward_passes == 0


@BUDGETS
@pytest.mark.parametrize("goal_of", [lambda y: Untargeted(y), lambda y: Targeted((y + 1) % 3)])
def test_order_and_batch_size_do_not_matter(network, images, draws, goal_of, budget) -> None:
    net, x = network(3), images(6)
    goal = goal_of(net.logits(x).argmax(dim=1))
    attack = Square(queries=25)
    together = attack.perturb(net, x, goal, budget, draws(6))
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    shuffled = attack.perturb(net, x[order], goal[order], budget, draws(6)[order])
    assert torch.equal(shuffled, together[order])
    rng = draws(6)
    alone = [attack.perturb(net, x[i : i + 1], goal[[i]], budget, rng[torch.tensor([i])]) for i in range(6)]
    assert torch.equal(torch.cat(alone), together)


@BUDGETS
def test_fewer_queries_are_a_prefix_of_more(network, images, draws, budget) -> None:
    net, x = network(3), images(4)
    goal = Untargeted(net.logits(x).argmax(dim=1))
    points = [p.clone() for p in Square(queries=30).iterates(net, x, goal, budget, draws(4))]
    assert len(points) == 30
    assert torch.equal(points[11], Square(queries=12).perturb(net, x, goal, budget, draws(4)))


@BUDGETS
def test_images_that_leave_do_not_change_the_others(network, images, draws, budget) -> None:
    net, x = network(3), images(6)
    goal = Untargeted(net.logits(x).argmax(dim=1))
    attack = Square(queries=12)
    expected = attack.perturb(net, x, goal, budget, draws(6))
    steps = attack.iterates(net, x, goal, budget, draws(6))
    for _ in range(5):
        next(steps)
    stay = torch.tensor([True, False, True, True, False, False])
    rest = [p.clone() for p in (steps.send(stay), *steps)]
    assert torch.equal(rest[-1], expected[stay])


@pytest.mark.parametrize("budget", [Budget("linf", 0.05), Budget("l2", 0.4)], ids=["linf", "l2"])
def test_margins_never_grow_and_more_images_break_than_by_noise(network, images, draws, budget) -> None:
    net, x = network(3, channels=3), images(40, 3)
    labels = net.logits(x).argmax(dim=1)
    goal = Untargeted(labels)

    def margins(adversarial: torch.Tensor) -> torch.Tensor:
        logits = net.logits(adversarial)
        own = logits.gather(1, labels[:, None]).squeeze(1)
        return own - logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1)

    path = [margins(p) for p in Square(queries=60).iterates(net, x, goal, budget, draws(40))]
    assert (torch.stack(path).diff(dim=0) <= 0).all()
    noise = margins(Noise().perturb(net, x, goal, budget, draws(40)))
    assert (path[-1] < noise).float().mean() > 0.9
    assert int((path[-1] < 0).sum()) > int((noise < 0).sum())


def test_multilabel_images_move_away_from_their_labels(network, images, draws) -> None:
    net, x = network(3, task="multilabel"), images(8)
    goal = Untargeted((net.logits(x) > 0).long())
    found = Square(queries=40).perturb(net, x, goal, BUDGET, draws(8))
    assert (goal.loss(net.logits(found)) > goal.loss(net.logits(x))).all()


def test_squares_shrink_by_the_schedule_of_the_paper() -> None:
    attack = Square(start_share=0.8, schedule=10_000)
    shares = {10: 1, 11: 2, 50: 2, 51: 4, 201: 8, 501: 16, 1001: 32, 2001: 64, 4001: 128, 6001: 256, 8001: 512}
    for query, divisor in shares.items():
        assert attack.side(query, 224, 224) == round((0.8 / divisor * 224 * 224) ** 0.5)
    assert attack.side(9_999, 8, 8) == 1
    assert Square(schedule=5000).side(26, 224, 224) == attack.side(52, 224, 224)
