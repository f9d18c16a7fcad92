"""Running an attack on one batch: at full strength or until success, an ensemble member by member."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ...contracts import AnyAttack, Attack, Budget, Ensemble, Goal, IterativeAttack, SampleRNG, cumulative_field
from ...errors import PluginError
from ...grid.blocks import Stop
from ...results.verdict import InvalidImagesError, norms, verify
from ..models.classifier import TorchClassifier
from .early import until_success

Classifiers = Sequence[TorchClassifier]
"""The model under attack: one classifier, or with precision `mixed` a fast one and the one for what it leaves."""

Crafted = Iterator[tuple[int | None, Tensor]]
"""(cumulative value, adversarial images) for every value wanted; (None, ...) for an attack without such a field."""


def run_attack(
    attack: AnyAttack,
    wanted: set[int | None],
    stop: Stop,
    classifiers: Classifiers,
    images: Tensor,
    goal: Goal,
    budget: Budget,
    rng: SampleRNG,
) -> Crafted:
    """The adversarial images of a batch, one set for every cumulative value wanted; not verified yet.

    Args:
        attack: an attack per image or an ensemble; universal perturbations are fitted elsewhere.
        wanted: values of its cumulative field; {None} for the attack as it is.
        stop: `full`, or `success` to attack each image until it is broken.
        classifiers: the model under attack; several need `stop = "success"`.
        images: float32 (n, c, h, w) in [0, 1].
        goal: what to achieve.
        budget: norm, radius, box.
        rng: a stream of random numbers for each image.

    Raises:
        PluginError: if the attack is universal, ends before its last iteration, or a member of an ensemble breaks a
            rule.
    """
    if isinstance(attack, Ensemble):
        if stop == "full":
            yield None, _worst(attack, classifiers[0], images, goal, budget, rng)
        else:
            yield None, _survivors(attack, classifiers, images, goal, budget, rng)
    elif not isinstance(attack, Attack):
        raise PluginError(f"attack '{attack.title}' is universal; it is not crafted per image")
    elif stop == "success":
        yield from until_success(attack, wanted, classifiers, images, goal, budget, rng)
    else:
        yield from at_full_strength(attack, wanted, classifiers[0], images, goal, budget, rng)


def at_full_strength(
    attack: Attack,
    wanted: set[int | None],
    classifier: TorchClassifier,
    images: Tensor,
    goal: Goal,
    budget: Budget,
    rng: SampleRNG,
) -> Crafted:
    """As `run_attack`, every image attacked to the end."""
    if isinstance(attack, IterativeAttack) and wanted != {None}:
        last = max(v for v in wanted if v is not None)
        reached = 0
        for number, adversarial in enumerate(attack.iterates(classifier, images, goal, budget, rng), 1):
            reached = number
            if number in wanted:
                yield number, adversarial.clone() if isinstance(adversarial, Tensor) and number < last else adversarial
        if reached < last:
            raise PluginError(f"attack '{attack.title}' ended after {reached} of {last} iterations")
        return
    adversarial = attack.perturb(classifier, images, goal, budget, rng)
    for value in wanted:
        yield value, adversarial


def _worst(
    ensemble: Ensemble, classifier: TorchClassifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG
) -> Tensor:
    """Of each image what is worst for it: broken before unbroken, then by the goal's loss; ties go to the cheaper.

    Where the smallest perturbation is looked for, the smallest of those that break the image.
    """
    worst = torch.full_like(images, torch.nan)
    broken = torch.zeros(len(images), dtype=torch.bool, device=images.device)
    loss = torch.full((len(images),), -torch.inf, device=images.device)
    for member, stream in _members(ensemble, classifier, rng):
        made = run_attack(member, {None}, "full", [classifier], images.clone(), goal, budget, stream)
        found = _checked(ensemble, member, made, images, budget)
        logits = classifier.confirm(found)
        reached, value = goal.reached(logits), goal.loss(logits)
        if budget.minimal:
            value = torch.where(reached, -norms(images, found, budget.norm).of(budget.norm).to(value), value)
        worse = torch.where(reached == broken, value > loss, reached)
        worst[worse], broken[worse], loss[worse] = found[worse], reached[worse], value[worse]
    return worst


def _survivors(
    ensemble: Ensemble, classifiers: Classifiers, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG
) -> Tensor:
    """Each image as the first member that breaks it leaves it; those that none breaks, as the last one does."""
    result = images.clone()
    left = torch.arange(len(images), device=images.device)
    for member, stream in _members(ensemble, classifiers[0], rng):
        field = cumulative_field(member)
        value = {int(getattr(member, field)) if field else None}
        of, aim = images[left], goal[left]
        made = until_success(member, value, classifiers, of, aim, budget, stream[left])
        result[left] = found = _checked(ensemble, member, made, of, budget)
        left = left[~aim.reached(classifiers[0].confirm(found))]
        if not len(left):
            break
    return result


def _members(ensemble: Ensemble, classifier: TorchClassifier, rng: SampleRNG) -> Iterator[tuple[Attack, SampleRNG]]:
    """The members with their random numbers: those of a run alone, and others for each further equal member."""
    members = list(ensemble.members(classifier.num_classes))
    if not members:
        raise PluginError(f"attack '{ensemble.title}' has no members for {classifier.num_classes} classes")
    for number, member in enumerate(members):
        yield member, rng.restarted(members[:number].count(member))


def _checked(ensemble: Ensemble, member: Attack, made: Crafted, images: Tensor, budget: Budget) -> Tensor:
    """What a member returned: one that breaks the rules must not pass for one that found nothing."""
    ((_, adversarial),) = made
    try:
        return verify(adversarial, images, budget).images
    except InvalidImagesError as error:
        raise PluginError(f"attack '{ensemble.title}', member '{member.title}': {error}") from None
