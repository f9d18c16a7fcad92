"""FGSM, BIM, PGD, margin and noise: parity with foolbox, and the laws every attack per image keeps."""

from __future__ import annotations

from pathlib import Path

import foolbox
import pytest
import torch

from medrobust import Attack, Budget, Goal, IterativeAttack, Length, Registry, Targeted, Untargeted, decide
from medrobust.plugins.specs import build
from medrobust_attacks import BIM, FGSM, PGD, CWLinf, Noise

BUDGETS = [Budget("linf", 0.03), Budget("l2", 0.25)]
ATTACKS: list[Attack] = [FGSM(), BIM(steps=6), PGD(steps=6), CWLinf(steps=6), Noise(), Noise(distribution="uniform")]
ITERATIVE = [a for a in ATTACKS if isinstance(a, IterativeAttack)]
by_title = pytest.mark.parametrize("attack", ATTACKS, ids=repr)
by_budget = pytest.mark.parametrize("budget", BUDGETS, ids=lambda b: b.norm)


def length(value: float) -> Length:
    return Length.parse(f"{value!r}")


@by_budget
@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("targeted", [False, True], ids=["untargeted", "targeted"])
@pytest.mark.parametrize("name", ["fgsm", "bim", "pgd"])
def test_adversarial_images_equal_those_of_foolbox(network, images, draws, budget, classes, targeted, name) -> None:
    net, x = network(classes), images(12)
    labels = net.logits(x).argmax(dim=1)
    labels = (labels + 1) % classes if targeted else labels
    linf, step = budget.norm == "linf", budget.eps / 5
    theirs = {
        "fgsm": (foolbox.attacks.LinfFastGradientAttack if linf else foolbox.attacks.L2FastGradientAttack)(
            random_start=False
        ),
        "bim": (foolbox.attacks.LinfBasicIterativeAttack if linf else foolbox.attacks.L2BasicIterativeAttack)(
            abs_stepsize=step, steps=8, random_start=False
        ),
        "pgd": (foolbox.attacks.LinfPGD if linf else foolbox.attacks.L2PGD)(
            abs_stepsize=step, steps=8, random_start=False
        ),
    }[name]
    ours = {
        "fgsm": FGSM(),
        "bim": BIM(steps=8, step_size=length(step)),
        "pgd": PGD(steps=8, step_size=length(step), random_start=False),
    }[name]
    goal: Goal = Targeted(labels) if targeted else Untargeted(labels)
    criterion = foolbox.criteria.TargetedMisclassification(labels) if targeted else foolbox.Misclassification(labels)
    model = foolbox.PyTorchModel(net.module, bounds=(0, 1), device="cpu")
    if name == "fgsm" and targeted:
        # foolbox offers its one-step attacks untargeted only; one step of its iterative attack is the same thing.
        iterative = foolbox.attacks.LinfBasicIterativeAttack if linf else foolbox.attacks.L2BasicIterativeAttack
        theirs = iterative(abs_stepsize=budget.eps, steps=1, random_start=False)
    expected = theirs.run(model, x, criterion, epsilon=budget.eps)
    found = ours.perturb(net, x, goal, budget, draws(12))
    assert (found - expected).abs().max() < 1e-5
    assert (found - x).abs().max() > budget.eps / 10


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("targeted", [False, True], ids=["untargeted", "targeted"])
@pytest.mark.parametrize("kappa", [100.0, 0.5])
@pytest.mark.parametrize("zero_own", [False, True])
def test_margin_attack_follows_the_formula(network, images, draws, classes, targeted, kappa, zero_own) -> None:
    """Carlini and Wagner's margin written out per image and class, ascended by hand."""
    net, x, budget = network(classes), images(6), Budget("linf", 0.02)
    labels = net.logits(x).argmax(dim=1)
    labels = (labels + 1) % classes if targeted else labels
    point = x.clone()
    for _ in range(5):
        leaf = point.clone().requires_grad_(True)
        total = torch.zeros(())
        for z, y in zip(net.module(leaf), labels.tolist(), strict=True):
            others = [z[i] for i in range(classes) if i != y] + ([torch.zeros(())] if zero_own else [])
            best = torch.stack(others).max()
            margin = best - z[y] if targeted else z[y] - best
            total = total - torch.maximum(margin, torch.tensor(-kappa))
        (gradient,) = torch.autograd.grad(total, leaf)
        point = (point + 0.005 * gradient.sign()).clamp(x - 0.02, x + 0.02).clamp(0, 1)
    attack = CWLinf(steps=5, step_size=Length.parse("0.005"), kappa=kappa, zero_own=zero_own)
    goal: Goal = Targeted(labels) if targeted else Untargeted(labels)
    assert (attack.perturb(net, x, goal, budget, draws(6)) - point).abs().max() < 1e-6


@by_title
@by_budget
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_box_and_norm_are_kept(network, images, draws, attack, budget, classes) -> None:
    net, x = network(classes), images(9)
    x[0], x[1] = 0.0, 1.0
    found = attack.perturb(net, x, Untargeted(net.logits(x).argmax(dim=1)), budget, draws(9))
    moved = (found - x).double().flatten(1)
    size = moved.abs().amax(dim=1) if budget.norm == "linf" else moved.norm(dim=1)
    assert found.min() >= 0
    assert found.max() <= 1
    assert size.max() <= budget.eps * (1 + 1e-5)
    assert (size > budget.eps / 20).all()


@by_title
@by_budget
def test_radius_zero_gives_the_clean_image(network, images, draws, attack, budget) -> None:
    net, x = network(3), images(5)
    zero = Budget(budget.norm, 0.0)
    found = attack.perturb(net, x, Untargeted(net.logits(x).argmax(dim=1)), zero, draws(5))
    assert torch.equal(found, x)


@by_title
@by_budget
def test_batch_size_and_order_do_not_matter(network, images, draws, attack, budget) -> None:
    net, x = network(3), images(10)
    labels = net.logits(x).argmax(dim=1)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(3))
    whole = attack.perturb(net, x, Untargeted(labels), budget, draws(10))
    streams = draws(10)
    parts = [
        attack.perturb(net, x[part], Untargeted(labels[part]), budget, streams[part]) for part in order.split([1, 2, 7])
    ]
    assert (torch.cat(parts) - whole[order]).abs().max() < 1e-6


@by_title
def test_images_given_are_not_changed(network, images, draws, attack) -> None:
    net, x = network(3), images(5)
    before = x.clone()
    attack.perturb(net, x, Untargeted(net.logits(x).argmax(dim=1)), BUDGETS[0], draws(5))
    assert torch.equal(x, before)


@pytest.mark.parametrize("attack", ITERATIVE, ids=repr)
@by_budget
def test_a_long_run_passes_through_the_short_ones(network, images, draws, attack, budget) -> None:
    net, x = network(3), images(6)
    goal = Untargeted(net.logits(x).argmax(dim=1))
    # A step that does not depend on the number of steps, as the cumulative field requires.
    long = type(attack)(steps=6, step_size=Length.parse("eps/5"))
    iterates = [a.clone() for a in long.iterates(net, x, goal, budget, draws(6))]
    assert len(iterates) == 6
    for steps in (1, 3, 6):
        short = type(attack)(steps=steps, step_size=Length.parse("eps/5"))
        assert torch.equal(short.perturb(net, x, goal, budget, draws(6)), iterates[steps - 1])


@pytest.mark.parametrize("attack", [FGSM(), BIM(steps=6), PGD(steps=6)], ids=repr)
@by_budget
@pytest.mark.parametrize("targeted", [False, True], ids=["untargeted", "targeted"])
def test_multi_label_loss_rises(network, images, draws, attack, budget, targeted) -> None:
    net, x = network(4, task="multilabel"), images(8)
    decided = decide(net.logits(x), multilabel=True)
    goal: Goal = Targeted(1 - decided) if targeted else Untargeted(decided)
    found = attack.perturb(net, x, goal, budget, draws(8))
    assert (goal.loss(net.logits(found)) > goal.loss(net.logits(x))).all()
    assert (found - x).abs().max() > 0


def test_a_subclass_answers_for_its_own_source(tmp_path: Path) -> None:
    code = (
        "from dataclasses import dataclass\nfrom typing import ClassVar\nfrom medrobust_attacks import PGD\n\n"
        '@dataclass(frozen=True)\nclass Child(PGD):\n    name: ClassVar[str] = "child"\n    factor: ClassVar[int] = 1\n'
    )
    hashes = []
    for number, edited in enumerate((code, code.replace("= 1", "= 2"))):
        file = tmp_path / f"child{number}.py"
        file.write_text(edited)
        registry = Registry(strict=True)
        registry.load_file(file)
        hashes.append(build(registry.find("attack", "child"), {}, registry).fields["source"])
    assert hashes[0] != hashes[1]
    assert all(source.endswith("+medrobust_attacks.PGD:r1") for source in hashes)
