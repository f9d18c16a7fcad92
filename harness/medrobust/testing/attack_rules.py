"""Rules for attacks: on each image, in steps, derived, universal, ensembles, and those that know a detector."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..contracts import (
    Budget,
    DerivedAttack,
    Goal,
    IterativeAttack,
    IterativeUniversalAttack,
    Norm,
    batch_sizes,
    cumulative_field,
    uses_global_rng,
)
from ..results.verdict import TOLERANCE, budget_fault, form_fault, norms
from .attack_cases import RADII, AttackCase, Run, iterates_of
from .rules import Broken, LeftOut, Rule, named, rule
from .situations import Situation

STEPS = 4
"""Steps of a cumulative attack in these tests."""
MOVED = 0.02
"""Share of pixels that may differ where batches do: rounding turns the sign of a gradient that is nearly zero."""


def _told(situation: Situation, norm: Norm, targeted: bool) -> str:
    return f"{situation.name}, {norm}, {'targeted' if targeted else 'untargeted'}"


def _shaped(case: AttackCase, run: Run) -> Tensor:
    """What is given back should look like."""
    return run.images[1][0] if case.universal else run.images[1]


def _perturbation(case: AttackCase, run: Run) -> Tensor:
    """What was added to each image (n, c, h, w)."""
    change: Tensor = run.returned if case.universal else run.returned - run.images[0]
    return change.expand_as(run.images[0])


@rule("form")
def form(case: AttackCase) -> None:
    """It returns finite float32 in the shape of the images, or of one image, on their device, whatever the model."""
    for situation, norm, targeted in case.every():
        run = case.run(situation, norm, targeted)
        if fault := form_fault(run.returned, _shaped(case, run)):
            raise Broken(f"{_told(situation, norm, targeted)}: {fault}")
        if run.returned.device != run.images[1].device:
            raise Broken(
                f"{_told(situation, norm, targeted)}: returned {run.returned.device}, not {run.images[1].device}"
            )


@rule("budget")
def budget(case: AttackCase) -> None:
    """Its perturbations are no longer than the budget, for every norm that it declares."""
    for situation, norm, targeted in case.every():
        run = case.run(situation, norm, targeted)
        _sound(case, run)
        change = _perturbation(case, run)
        measured = norms(torch.zeros_like(change), change, norm)
        if fault := budget_fault(
            change, torch.zeros_like(change), measured, Budget(norm, RADII[norm], None, case.slack)
        ):
            raise Broken(f"{_told(situation, norm, targeted)}: {fault}")


@rule("box")
def box(case: AttackCase) -> None:
    """Its images stay in [0, 1]."""
    if case.universal:
        raise LeftOut("the host adds a universal perturbation, and clips")
    for situation, norm, targeted in case.every():
        run = case.run(situation, norm, targeted)
        _sound(case, run)
        low, high = float(run.returned.min()), float(run.returned.max())
        if low < -TOLERANCE or high > 1 + TOLERANCE:
            raise Broken(f"{_told(situation, norm, targeted)}: pixels from {low:.6g} to {high:.6g}")


@rule("images untouched")
def images_untouched(case: AttackCase) -> None:
    """It does not change the images that it is given."""
    situation, norm, targeted = case.one()
    before, after = case.run(situation, norm, targeted).images
    if not torch.equal(before, after):
        raise Broken(f"{int((before != after).sum())} pixels of its input have changed; work on `images.clone()`")


@rule("model untouched")
def model_untouched(case: AttackCase) -> None:
    """It leaves weights, buffers, modes and gradients of the model as they were."""
    for situation, norm, targeted in case.every():
        before, after = case.run(situation, norm, targeted).state
        if changed := [key for key, value in before.items() if not _equal(value, after[key])]:
            raise Broken(f"has changed {named(changed)}")


@rule("seed")
def seed(case: AttackCase) -> None:
    """The same seed gives the same result, or it declares that it need not (`repeatable`)."""
    if not case.attack.repeatable:
        raise LeftOut("it declares that equal seeds need not give equal records")
    situation, norm, targeted = case.one()
    first = case.run(situation, norm, targeted).returned
    again = case.run(situation, norm, targeted, fresh=True).returned
    if not _equal(first, again):
        raise Broken("two runs with one seed differ; `rng` is the only source of random numbers")


@rule("random numbers")
def random_numbers(case: AttackCase) -> None:
    """It draws from `rng`, or declares that it draws from the global generators (`global_rng`)."""
    if uses_global_rng(case.attack):
        raise LeftOut("it declares global_rng, and the host seeds the global generators")
    situation, norm, targeted = case.one()
    before = _global_states()
    case.run(situation, norm, targeted, fresh=True)
    after = _global_states()
    if drawn := [name for name, state in before.items() if state != after[name]]:
        raise Broken(
            f"draws from the global generator of {named(drawn)}; draw from `rng`, or declare global_rng = True"
        )


@rule("batches")
def batches(case: AttackCase) -> None:
    """What becomes of an image does not depend on the others of its batch nor on their order, or it declares that."""
    if case.universal:
        raise LeftOut("a universal attack sees all its images at once")
    if batch_sizes(case.attack):
        raise LeftOut(f"it declares batches of {min(batch_sizes(case.attack))}")
    situation, norm, targeted = case.one()
    together = case.run(situation, norm, targeted).returned
    order = [3, 0, 5, 1, 4, 2]
    apart = case.run(situation, norm, targeted, order=order, batches=(1, 2, 3)).returned
    differs = (together[order] - apart).abs() > 1e-4 * _scale(norm)
    share = float(differs.float().mean())
    if share > MOVED:
        which = [situation.ids[order[place]] for place in differs.flatten(1).any(dim=1).nonzero()[:, 0].tolist()]
        raise Broken(
            f"{share:.0%} of the pixels are others where images come in another order and other batches "
            f"({named(which)}); look at each image alone, or declare batch_size"
        )


@rule("radius 0")
def radius_zero(case: AttackCase) -> None:
    """At radius 0 nothing changes."""
    for norm in case.norms():
        situation, _, targeted = case.one()
        run = case.run(situation, norm, targeted, eps=0.0)
        if fault := form_fault(run.returned, _shaped(case, run)):
            raise Broken(f"{norm}: {fault}")
        if (most := float(_perturbation(case, run).abs().max())) > TOLERANCE + case.slack:
            raise Broken(f"{norm}: changes pixels by up to {most:.3g} at radius 0")


@rule("stronger than noise")
def stronger(case: AttackCase) -> None:
    """It raises the loss of its goal more than noise of the same norm does."""
    if case.control:
        raise LeftOut("it declares that it knows nothing of the model")
    if isinstance(case.attack, DerivedAttack):
        raise LeftOut("it changes the images of another attack, and may be a control")
    moved = False
    for situation, norm, targeted in case.every():
        run = case.run(situation, norm, targeted)
        _sound(case, run)
        if case.universal and not run.returned.any():
            # On so few images it may have found none that serves them all.
            continue
        moved = True
        goal, images = situation.goal(targeted=targeted), situation.images
        classifier = situation.classifier()
        change = _perturbation(case, run)
        noise = _noise(images, norms(torch.zeros_like(change), change, norm).of(norm), norm)
        ours, noisy = (goal.loss(classifier.confirm((images + each).clamp(0, 1))).mean() for each in (change, noise))
        reached, by_noise = (
            _reached(goal, classifier.confirm((images + each).clamp(0, 1))) for each in (change, noise)
        )
        if ours <= noisy and reached <= by_noise:
            raise Broken(
                f"{_told(situation, norm, targeted)}: mean loss {float(ours):.4g}, with noise of the same norm "
                f"{float(noisy):.4g}; ascend `goal.loss`"
            )
    if not moved:
        raise Broken("its perturbations are zero")


@rule("prefixes")
def prefixes(case: AttackCase) -> None:
    """A run of n steps passes through the results of every smaller number."""
    name = cumulative_field(case.attack)
    if name is None:
        raise LeftOut("it has no cumulative field")
    situation, norm, targeted = case.one()
    assert isinstance(case.attack, IterativeAttack | IterativeUniversalAttack)
    radius = Budget(norm, RADII[norm])
    whole = iterates_of(dataclasses.replace(case.attack, **{name: STEPS}), situation, radius, targeted)  # type: ignore[type-var]
    if len(whole) != STEPS:
        raise Broken(f"with {name} = {STEPS} it yields {len(whole)} times")
    for count in range(1, STEPS):
        shorter = dataclasses.replace(case.attack, **{name: count})  # type: ignore[type-var]
        alone = case.run(situation, norm, targeted, attack=shorter).returned
        if not _equal(alone, whole[count - 1]):
            raise Broken(
                f"{name} = {count} alone gives another result than step {count} of {STEPS}; a step must not depend on "
                "how many there are: declare an ordinary field"
            )


@rule("threat model")
def threat_model(case: AttackCase) -> None:
    """It uses no more of the model than its threat model declares, and no more queries."""
    threat = case.attack.threat
    for situation, norm, targeted in case.every():
        counted = case.run(situation, norm, targeted).classifier
        told = _told(situation, norm, targeted)
        if threat.knowledge != "white-box" and counted.backward_passes:
            raise Broken(
                f"{told}: declares knowledge '{threat.knowledge}', and takes {counted.backward_passes} gradients"
            )
        if threat.knowledge == "none" and counted.forward_passes:
            raise Broken(f"{told}: declares knowledge 'none', and asks the model ({counted.forward_passes} images)")
        asked = counted.forward_passes / len(situation.ids)
        if threat.queries is not None and asked > threat.queries:
            raise Broken(f"{told}: declares at most {threat.queries} queries an image, and makes {asked:.0f}")


@rule("smallest perturbation")
def smallest(case: AttackCase) -> None:
    """Without a radius it finds perturbations of every norm that it declares, and images that it cannot break stay."""
    if not case.minimal:
        raise LeftOut("it needs a radius")
    if isinstance(case.attack, DerivedAttack):
        raise LeftOut("it changes the images of another attack, and may be a control")
    for norm in case.norms():
        situation, _, targeted = case.one()
        run = case.run(situation, norm, targeted, eps=None)
        if fault := form_fault(run.returned, _shaped(case, run)):
            raise Broken(f"{norm}: {fault}")
        goal = situation.goal(targeted=targeted)
        reached = _reached(goal, situation.classifier().confirm((run.images[0] + _perturbation(case, run)).clamp(0, 1)))
        if reached < 0.5:
            raise Broken(f"{norm}: breaks {reached:.0%} of the images at any radius")


def _sound(case: AttackCase, run: Run) -> None:
    if form_fault(run.returned, _shaped(case, run)):
        raise LeftOut("what it returns breaks the rule 'form'")


def _reached(goal: Goal, logits: Tensor) -> float:
    return float(goal.reached(logits).float().mean())


def _noise(images: Tensor, lengths: Tensor, norm: Norm) -> Tensor:
    """Noise of the same length (n,) for each image, in the norm: signs, a direction, or single pixels."""
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn(images.shape, generator=generator)
    longest: Tensor = lengths.float().view(-1, 1, 1, 1)
    if norm == "linf":
        return drawn.sign() * longest
    if norm == "l0":
        order = drawn.flatten(1).argsort(dim=1).argsort(dim=1).view_as(images)
        return torch.where(order < longest, (drawn > 0).float() - images, torch.zeros_like(images))
    size = torch.linalg.vector_norm(drawn.flatten(1), ord=1 if norm == "l1" else 2, dim=1).view(-1, 1, 1, 1)
    scaled: Tensor = drawn / size * longest
    return scaled


def _scale(norm: Norm) -> float:
    """A change of one pixel that counts."""
    return RADII["linf"] if norm == "linf" else 0.05


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, Tensor):
        return isinstance(second, Tensor) and torch.equal(first, second)
    return bool(first == second)


def _global_states() -> dict[str, Any]:
    numpy_state = np.random.get_state()  # noqa: NPY002 - the global one is meant
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": (numpy_state[1].tobytes(), numpy_state[2]),  # type: ignore[index]
        "random": random.getstate(),
    }


RULES: tuple[Rule, ...] = (
    form,
    budget,
    box,
    images_untouched,
    model_untouched,
    seed,
    random_numbers,
    batches,
    radius_zero,
    stronger,
    prefixes,
    threat_model,
    smallest,
)
