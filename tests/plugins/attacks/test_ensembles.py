"""Ensembles: what their members are, and in which order."""

from __future__ import annotations

import pytest
import torch

from medrobust import Budget, MedrobustError, SampleRNG, Untargeted
from medrobust.api import Registry
from medrobust.contracts.decision import predictions
from medrobust.engine.crafting.attack import run_attack
from medrobust.engine.models.classifier import TorchClassifier
from medrobust.plugins.specs import build
from medrobust_attacks import APGD, BIM, FAB, FGSM, PGD, AutoAttack, CWLinf, Noise, Rounded, Square, WorstCase
from medrobust_attacks.ensembles import passes

pytestmark = pytest.mark.numerical


def test_cheapest_first_and_equal_ones_in_the_order_given() -> None:
    worst = WorstCase(of=(Square(queries=300), PGD(steps=40), CWLinf(steps=40), FGSM(), Noise(), BIM(steps=5)))
    assert [m.title for m in worst.members(3)] == ["noise", "fgsm", "bim", "pgd", "cw-linf", "square"]
    assert [passes(m) for m in worst.members(3)] == [0, 2, 10, 80, 80, 300]
    assert passes(Rounded(of=PGD(steps=7))) == 14


@pytest.mark.parametrize(
    ("classes", "ranks"), [(1, [1]), (2, [1]), (3, [1, 2]), (7, [1, 2, 3, 4, 5, 6]), (100, list(range(1, 10)))]
)
def test_autoattack_has_the_papers_members_for_the_classes_there_are(classes: int, ranks: list[int]) -> None:
    members = AutoAttack().members(classes)
    assert members == [
        APGD(),
        *(APGD(loss="dlr", rank=r) for r in ranks),
        *(FAB(rank=r) for r in ranks),
        Square(schedule=10_000),
    ]
    short = AutoAttack(steps=10, queries=50, targets=1).members(classes)
    assert short == [
        APGD(steps=10, schedule=10),
        APGD(steps=10, schedule=10, loss="dlr", rank=1),
        FAB(steps=10),
        Square(queries=50, schedule=100),
    ]


@pytest.mark.parametrize("budget", [Budget("linf", 0.008), Budget("l2", 0.1)], ids=["linf", "l2"])
@pytest.mark.parametrize("classes", [1, 2, 3, 5])
def test_autoattack_runs_for_any_number_of_classes_and_is_at_least_as_strong_as_pgd(
    network, images, classes, budget
) -> None:
    net, x = network(classes, channels=3), images(30, 3)
    classifier = TorchClassifier(net.module, "multiclass", classes)
    goal = Untargeted(predictions(net.logits(x)))

    def broken(attack, stop) -> torch.Tensor:
        draws = SampleRNG.for_ids(0, [str(i) for i in range(30)])
        ((_, found),) = run_attack(attack, {None}, stop, [classifier], x, goal, budget, draws)
        return goal.reached(net.logits(found))

    pgd = broken(PGD(), "full")
    assert 0.05 < float(pgd.float().mean()) < 0.95
    attack = AutoAttack(steps=15, queries=30)
    assert (broken(attack, "success") | ~pgd).all()
    assert torch.equal(broken(attack, "success"), broken(attack, "full"))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("budget", [Budget("linf", 0.012), Budget("l2", 0.12)], ids=["linf", "l2"])
def test_autoattack_leaves_as_many_images_as_the_published_one(network, images, budget) -> None:
    torchattacks = pytest.importorskip("torchattacks")
    # The published difference of logits takes the fourth largest: it needs four classes.
    net, x = network(4, channels=3, seed=3), images(24, 3)
    labels = net.logits(x).argmax(dim=1)
    options = {"norm": {"linf": "Linf", "l2": "L2"}[budget.norm], "eps": budget.eps, "seed": 0}
    members = [
        torchattacks.APGD(net.module, steps=40, **options),
        torchattacks.APGDT(net.module, steps=40, n_classes=4, **options),
        torchattacks.FAB(net.module, steps=40, multi_targeted=True, n_classes=4, **options),
        torchattacks.Square(net.module, n_queries=500, **options),
    ]
    peer = torchattacks.MultiAttack(members)
    theirs = int((net.logits(peer(x, labels)).argmax(dim=1) == labels).sum())
    classifier, draws = TorchClassifier(net.module, "multiclass", 4), SampleRNG.for_ids(0, [str(i) for i in range(24)])
    attack = AutoAttack(steps=40, queries=500)
    ((_, found),) = run_attack(attack, {None}, "success", [classifier], x, Untargeted(labels), budget, draws)
    ours = int((net.logits(found).argmax(dim=1) == labels).sum())
    assert 3 < ours < 21
    assert abs(ours - theirs) <= 1


def test_a_grid_lists_members_by_name_or_table() -> None:
    registry = Registry()
    registry.load_entry_points()
    offer = registry.find("attack", "worst-case")
    spec = build(offer, {"of": ["fgsm", {"name": "pgd", "steps": 5}, {"name": "square", "queries": 100}]}, registry)
    assert spec.plugin == WorstCase(of=(FGSM(), PGD(steps=5), Square(queries=100)))
    assert spec.label == "worst-case(of=fgsm,pgd(steps=5),square(queries=100))"
    assert spec.fields["of"][1]["steps"] == 5
    with pytest.raises(MedrobustError, match="'uap' is not of the kind Attack, which is needed here"):
        build(offer, {"of": ["fgsm", "uap"]}, registry)
    with pytest.raises(MedrobustError, match="at least 1 item"):
        build(offer, {"of": []}, registry)
