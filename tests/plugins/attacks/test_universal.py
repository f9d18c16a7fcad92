"""Universal perturbations: parity with ART, the sequential and batched algorithms, controls, units."""

from __future__ import annotations

import itertools
import math
import random as python_random

import numpy as np
import pytest
import torch

from medrobust import Budget, BudgetSpec, DataError, Length, Preset, Targeted, Untargeted
from medrobust_attacks import UAP, RandomUAP, medrobust_attacks
from medrobust_attacks.universal import craft
from medrobust_attacks.universal_crafting import Crafting, image_orders, own_goal, shrink
from medrobust_attacks.universal_passes import BatchedPasses, SequentialPasses

pytestmark = pytest.mark.numerical

STEP = Length.parse("0.03").resolve()
BUDGETS = [Budget("linf", 0.15, box=None), Budget("l2", 0.9, box=None)]
by_budget = pytest.mark.parametrize("budget", BUDGETS, ids=lambda b: b.norm)
ORDERS = pytest.mark.parametrize("order", ["sequential", "batched"])


def target(classes: int, count: int) -> Targeted:
    return Targeted(torch.full((count,), classes - 1))


def unknown(count: int) -> Untargeted:
    """A non-targeted goal; its labels must not matter."""
    return Untargeted(torch.zeros(count, dtype=torch.int64))


def one_at_a_time(crafting: Crafting, orders: list[torch.Tensor], delta: float) -> torch.Tensor:
    """The papers' algorithm, written down as they state it (hirano2021, Methods)."""
    rho = crafting.zero()
    for order in orders:
        for i in order.tolist():
            x, goal = crafting.images[i : i + 1], crafting.goal[torch.tensor([i])]
            if goal.reached(crafting.classifier.logits(x + rho)):
                continue
            gradient = crafting.classifier.gradient(x + rho, goal.loss).gradient
            stepped = x + rho + crafting.step_size * gradient.sign()
            if goal.reached(crafting.classifier.logits(stepped)):
                rho = shrink((stepped - x)[0], crafting.budget)
        reached = crafting.goal.reached(crafting.classifier.logits(crafting.images + rho))
        if reached.float().mean() >= 1 - delta:
            break
    return rho


@by_budget
@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("targeted", [False, True], ids=["untargeted", "targeted"])
def test_sequential_agrees_with_art(monkeypatch, network, images, budget, classes, targeted) -> None:
    from art.attacks.evasion import TargetedUniversalPerturbation, UniversalPerturbation
    from art.estimators.classification import PyTorchClassifier

    net, x = network(classes), images(30)
    orders = [torch.randperm(30, generator=torch.Generator().manual_seed(s)) for s in range(4)]
    queue = iter(orders)
    monkeypatch.setattr(python_random, "sample", lambda *_: next(queue).tolist())
    wrapped = PyTorchClassifier(net.module, torch.nn.CrossEntropyLoss(), (1, 8, 8), classes, device_type="cpu")
    options = {
        "attacker": "fgsm",
        "attacker_params": {"eps": STEP, "eps_step": STEP, "targeted": targeted},
        "delta": 1e-6,
        "max_iter": 4,
        "eps": budget.eps,
        "norm": 2 if budget.norm == "l2" else np.inf,
    }
    if targeted:
        theirs = TargetedUniversalPerturbation(wrapped, **options)
        y = np.eye(classes, dtype=np.float32)[np.full(30, classes - 1)]
        theirs.generate(x.numpy(), y)
    else:
        theirs = UniversalPerturbation(wrapped, verbose=False, **options)
        theirs.generate(x.numpy())
    expected = torch.from_numpy(np.asarray(theirs.noise, dtype=np.float32))[0]
    goal = own_goal(net, x, target(classes, 30) if targeted else unknown(30))
    crafting = Crafting(net, x, goal, budget, STEP)
    found = craft(crafting, crafting.zero(), iter(orders), delta=1e-6, batch=None)
    assert expected.abs().max() > 0
    assert (found - expected).abs().max() < 1e-6


@by_budget
@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("targeted", [False, True], ids=["untargeted", "targeted"])
def test_looking_ahead_changes_nothing(network, images, draws, budget, classes, targeted) -> None:
    net, x = network(classes, seed=1), images(30, seed=1)
    goal = own_goal(net, x, target(classes, 30) if targeted else unknown(30))
    crafting = Crafting(net, x, goal, budget, STEP)
    orders = list(itertools.islice(image_orders(draws(30), 30), 2))
    found = craft(crafting, crafting.zero(), iter(orders), delta=1e-6, batch=None)
    assert (found - one_at_a_time(crafting, orders, 1e-6)).abs().max() < 1e-6


@by_budget
def test_batches_of_one_that_let_no_image_rest_are_the_sequential_algorithm(network, images, draws, budget) -> None:
    net, x = network(3), images(40)
    crafting = Crafting(net, x, own_goal(net, x, unknown(40)), budget, STEP)
    passes = BatchedPasses(crafting, batch=1, caution=1e9, reach=1e9)
    batched = sequential = crafting.zero()
    for order in itertools.islice(image_orders(draws(40), 40), 4):
        batched, sequential = passes.run(batched, order), SequentialPasses(crafting).run(sequential, order)
        assert sequential.abs().max() > 0
        assert (batched - sequential).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("classes", "targeted", "budget"),
    [
        (2, False, BUDGETS[1]),
        (2, True, BUDGETS[0]),
        (3, False, BUDGETS[0]),
        (7, False, BUDGETS[1]),
        (7, True, BUDGETS[1]),
    ],
    ids=str,
)
def test_both_orders_fool_far_more_images_than_chance(network, images, draws, budget, classes, targeted) -> None:
    net, x = network(classes), images(80)
    goal = target(classes, 80) if targeted else unknown(80)
    own = own_goal(net, x, goal)

    def rate(attack) -> float:
        rho = attack.fit(net, x, goal, budget, draws(80))
        size = rho.abs().max() if budget.norm == "linf" else rho.double().norm()
        assert rho.shape == x.shape[1:]
        assert size <= budget.eps * (1 + 1e-5)
        return float(own.reached(net.logits(x + rho)).float().mean())

    chance = rate(RandomUAP())
    step = Length.parse("0.03")
    sequential = rate(UAP(order="sequential", step_size=step, passes=5))
    batched = rate(UAP(order="batched", batch=8, step_size=step, passes=5))
    assert sequential > chance + 0.15
    assert batched > sequential - 0.1


def test_the_true_labels_do_not_matter(network, images, draws) -> None:
    net, x = network(3), images(40)
    attack = UAP(step_size=Length.parse("0.03"))
    one, other = (
        attack.fit(net, x, Untargeted(labels), BUDGETS[0], draws(40))
        for labels in (torch.zeros(40, dtype=torch.int64), torch.arange(40) % 3)
    )
    assert torch.equal(one, other)


@ORDERS
def test_the_seed_decides_the_order(network, images, draws, order) -> None:
    net, x = network(3), images(60)
    attack = UAP(order=order, step_size=Length.parse("0.03"), passes=1)
    first, again, other = (attack.fit(net, x, unknown(60), BUDGETS[0], draws(60, seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@ORDERS
@pytest.mark.parametrize("targeted", [False, True], ids=["untargeted", "targeted"])
def test_a_perturbation_that_stays_zero_is_a_result(network, images, draws, order, targeted) -> None:
    """No step of this length changes a prediction, or all images are predicted as the target already."""
    net, x = network(3), images(20)
    if targeted:
        x, step = x[net.logits(x).argmax(dim=1) == 2], "0.03"
        assert len(x) > 1
    else:
        step = "1e-9"
    goal = target(3, len(x)) if targeted else unknown(len(x))
    rho = UAP(order=order, step_size=Length.parse(step)).fit(net, x, goal, BUDGETS[0], draws(len(x)))
    assert torch.equal(rho, torch.zeros_like(x[0]))


@ORDERS
def test_radius_zero_gives_the_zero_perturbation(network, images, draws, order) -> None:
    net, x = network(2), images(30)
    for norm in ("linf", "l2"):
        rho = UAP(order=order).fit(net, x, unknown(30), Budget(norm, 0.0), draws(30))
        assert torch.equal(rho, torch.zeros_like(x[0]))


@ORDERS
def test_every_chunk_is_carried_over_and_prefixes_are_equal(network, images, draws, order) -> None:
    net, x = network(3), images(80)
    options = {"order": order, "chunk_size": 20, "passes": 1, "step_size": Length.parse("0.03")}
    found = [r.clone() for r in UAP(chunks=4, **options).iterates(net, x, unknown(80), BUDGETS[0], draws(80))]
    assert len(found) == 4
    assert not torch.equal(found[0], found[-1])
    for chunks in (1, 3, 4):
        alone = UAP(chunks=chunks, **options).fit(net, x, unknown(80), BUDGETS[0], draws(80))
        assert torch.equal(alone, found[chunks - 1])
    # Chunks are taken in order: the first knows nothing of later images.
    first = UAP(chunks=1, **options).fit(net, x[:20], unknown(20), BUDGETS[0], draws(20))
    assert torch.equal(first, found[0])


def test_the_published_order_is_the_default_and_the_other_has_a_name_of_its_own() -> None:
    assert UAP().order == "sequential"
    (batched,) = (o for o in medrobust_attacks() if isinstance(o, Preset) and o.name == "batched-uap")
    assert (batched.plugin, dict(batched.fields)) == (UAP, {"order": "batched"})


def test_too_few_images_for_the_chunks_are_refused(network, images, draws) -> None:
    with pytest.raises(DataError, match=r"4 chunks of 20 images need 80 crafting images, craft_on has 50"):
        UAP(chunks=4, chunk_size=20).fit(network(2), images(50), unknown(50), BUDGETS[0], draws(50))
    with pytest.raises(ValueError, match="chunk_size"):
        UAP(chunks=4)


def test_clipped_probabilities_leave_saturated_images_alone(network, images, draws) -> None:
    """Their gradient is exactly zero, so no step moves them, as in hirano2021's released code."""
    net, x = network(2, scale=5000.0), images(100)
    smaller = net.logits(x).softmax(dim=1).amin(dim=1)
    x = x[(smaller < 1e-8) & (smaller > 1e-30)]
    assert len(x) >= 10
    options = {"order": "sequential", "step_size": Length.parse("0.1"), "passes": 2}
    clipped = UAP(grad_from="probs_clipped", **options).fit(net, x, unknown(len(x)), BUDGETS[0], draws(len(x)))
    plain = UAP(grad_from="logits", **options).fit(net, x, unknown(len(x)), BUDGETS[0], draws(len(x)))
    assert torch.equal(clipped, torch.zeros_like(clipped))
    assert plain.abs().max() > 0


def test_unsaturated_images_have_the_same_direction_either_way(network, images) -> None:
    net, x = network(3), images(10)
    goal = own_goal(net, x, unknown(10))
    ways = [Crafting(net, x, goal, BUDGETS[0], STEP, way).sign_steps(x, goal)[0] for way in ("logits", "probs_clipped")]
    assert (ways[0] == ways[1]).float().mean() > 0.99


@ORDERS
def test_with_a_box_the_model_sees_clipped_images_and_the_ball_is_kept(network, images, draws, order) -> None:
    net, x = network(3), images(60).mul(4).sub(1.5).clamp(0, 1)
    budget = Budget("linf", 0.4)
    rho = UAP(order=order, step_size=Length.parse("0.1")).fit(net, x, unknown(60), budget, draws(60))
    own = own_goal(net, x, unknown(60))
    assert rho.abs().max() <= 0.4 * (1 + 1e-6)
    assert own.reached(net.logits((x + rho).clamp(0, 1))).float().mean() > 0.3


@ORDERS
@pytest.mark.parametrize("targeted", [False, True], ids=["untargeted", "targeted"])
def test_multi_label(network, images, draws, order, targeted) -> None:
    net, x = network(3, task="multilabel"), images(80)
    goal = (Targeted if targeted else Untargeted)(torch.tensor([[1, 1, 1]]).repeat(80, 1))
    own = own_goal(net, x, goal)
    budget = Budget("linf", 0.1, box=None)
    rho = UAP(order=order, step_size=Length.parse("0.03")).fit(net, x, goal, budget, draws(80))
    before, after = (own.reached(net.logits(v)).float().mean() for v in (x, x + rho))
    assert after > before + 0.2


def test_random_perturbations_have_the_radius_and_distribution_of_the_budget(network, images, draws) -> None:
    net, x = network(2), images(4, channels=3)
    fit = [RandomUAP().fit(net, x, unknown(4), Budget("l2", 0.7), draws(4, seed)) for seed in range(2)]
    assert fit[0].shape == (3, 8, 8)
    assert [float(r.double().norm()) for r in fit] == pytest.approx([0.7, 0.7], rel=1e-5)
    assert not torch.equal(*fit)
    box = torch.stack([RandomUAP().fit(net, x, unknown(4), Budget("linf", 0.7), draws(4, s)) for s in range(20)])
    assert box.abs().max() <= 0.7
    # Uniform in [-eps, eps]: mean 0, standard deviation eps / sqrt(3); 3,840 values.
    assert float(box.mean()) == pytest.approx(0.0, abs=0.03)
    assert float(box.std()) == pytest.approx(0.7 / math.sqrt(3), rel=0.03)


def test_zeta_gives_the_norm_of_the_published_perturbation() -> None:
    """The UAP released with minagi2022 has l2 norm 26.7696 in (x - 128) / 128: 4 % of a mean norm of 85,662 levels."""
    budget = BudgetSpec.parse("l2:zeta=4%").resolve(mean_norm=85662 / 255)
    in_their_scale = budget.eps / Length.parse("1@/128").resolve()
    assert in_their_scale == pytest.approx(26.7694, abs=1e-3)
    assert Length.parse("zeta=4%").resolve(mean_norm=85662 / 255) == budget.eps
    assert Length.parse("0.0024@/128").resolve() == pytest.approx(0.0024 * 128 / 255, rel=1e-12)
