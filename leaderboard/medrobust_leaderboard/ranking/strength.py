"""Attacks by strength at equal budget, on the same images of the same models, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from medrobust.api import correct, holm, paired_rates, ranks, rate

from ..report import table_cell
from ..table import joined
from .board import AttackName, AttackRanking, LeftOut, Strength, Versus
from .naming import by
from .standings import Contest
from .trials import TargetKey, Trial

Hits = NDArray[np.bool_]


@dataclass(frozen=True)
class Broken:
    """What attacks break, over the images of some models that are correct when clean.

    Attributes:
        hits: by attack (`AttackName.name`), which of these images it breaks (n,); of a random model by its first draw.
        groups: what images depend on: their patient, or where several models have it the image itself; else None.
        trials: those behind each attack.
        models: the models, in order.
    """

    hits: Mapping[str, Hits]
    groups: NDArray[np.str_] | None
    trials: Mapping[str, Sequence[Trial]]
    models: tuple[TargetKey, ...]


def broken_by(contest: Contest, names: Sequence[str]) -> Broken | None:
    """What some attacks break of the models that all of them were tried on; None if there is no such model."""
    tried = by(contest.trials, contest.name_of)
    first = {name: {t.target: t for t in reversed(tried[name])} for name in names}
    shared = [target for target in first[names[0]] if all(target in mine for mine in first.values())]
    targets = [t for t in contest.models if t in shared]
    if not targets:
        return None
    hits: dict[str, Hits] = {}
    right = {target: _correct(first[names[0]][target], clean=True) for target in targets}
    for name, mine in first.items():
        hits[name] = np.concatenate([~_correct(mine[t], clean=False)[right[t]] for t in targets])
    groups = None
    record = first[names[0]][targets[0]].record
    if record.groups is not None or len(targets) > 1:
        of = [first[names[0]][t].record for t in targets]
        known = [r.ids if r.groups is None else r.groups for r in of]
        groups = np.concatenate([group[right[t]] for group, t in zip(known, targets, strict=True)])
    return Broken(hits, groups, {name: [mine[t] for t in targets] for name, mine in first.items()}, tuple(targets))


def _correct(trial: Trial, *, clean: bool) -> Hits:
    record = trial.record.draw(0)
    return correct(record, record.clean if clean else record.adversarial)


def strength_of(contest: Contest) -> AttackRanking | None:
    """The attacks of a track, strongest first; None where there is nothing to compare."""
    tried: dict[str, set[TargetKey]] = {}
    for trial in contest.trials:
        tried.setdefault(contest.name_of(trial), set()).add(trial.target)
    names, left_out = _comparable(tried)
    found = broken_by(contest, names) if names else None
    if found is None or not len(next(iter(found.hits.values()))):
        return None
    attacks = {column.name: column for column in contest.columns}
    listed = [_strength(attacks[name], found) for name in found.hits]
    listed.sort(key=lambda s: -(s.broken.value or 0.0))
    places = ranks([s.broken.value or 0.0 for s in listed])
    listed = [replace(s, rank=rank, tied=places.count(rank) > 1) for s, rank in zip(listed, places, strict=True)]
    listed = with_front(_with_next(listed, found))
    models = tuple(dict.fromkeys(contest.models[t].name for t in found.models))
    images = len(next(iter(found.hits.values())))
    return AttackRanking(contest.track, tuple(listed), models, images, left_out)


def _comparable(tried: Mapping[str, AbstractSet[TargetKey]]) -> tuple[list[str], tuple[LeftOut, ...]]:
    """The attacks that have a model in common; those tried on the fewest models go first until there is one."""
    names, left_out = list(tried), []
    while names and not set.intersection(*(set(tried[name]) for name in names)):
        out = min(reversed(names), key=lambda name: len(tried[name]))
        names.remove(out)
        left_out.append(
            LeftOut(out, "it was tried on none of the models that the other attacks share", len(tried[out]))
        )
    return names, tuple(left_out)


def _strength(attack: AttackName, found: Broken) -> Strength:
    hits, trials = found.hits[attack.name], found.trials[attack.name]
    others = [other for name, other in found.hits.items() if name != attack.name]
    alone = hits & ~np.logical_or.reduce(others) if others else hits
    facts = {"cells": joined(t.result.cell for t in trials), "seeds": joined(t.labels["seed"] for t in trials)}
    return Strength(
        attack,
        rank=0,
        tied=False,
        broken=replace(table_cell(rate(hits, found.groups), None), facts=facts),
        alone=float(alone.mean()),
        passes=_mean([t.per_image("forward_passes", "backward_passes") for t in trials]),
        seconds=_mean([t.per_image("seconds") for t in trials]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _with_next(listed: Sequence[Strength], found: Broken) -> list[Strength]:
    told = adjusted([versus_of(found, one.attack.name, other.attack.name) for one, other in pairwise(listed)])
    return [replace(s, next=told[i] if i < len(told) else None) for i, s in enumerate(listed)]


def versus_of(found: Broken, first: str, second: str) -> Versus:
    """One attack against another, on the same images; not adjusted yet."""
    c = paired_rates(found.hits[first], found.hits[second], found.groups)
    return Versus(second, c.difference or 0.0, c.low, c.high, c.p, None, c.test, c.n)


def adjusted(versus: Sequence[Versus]) -> list[Versus]:
    """Comparisons with their p values adjusted as one family."""
    return [replace(v, adjusted=p) for v, p in zip(versus, holm([v.p for v in versus]), strict=True)]


def with_front(listed: Sequence[Strength]) -> list[Strength]:
    """Marks the attacks that no other one beats in both strength and passes; controls are no attacks."""
    costed = [s for s in listed if s.passes is not None and not s.attack.control]
    return [replace(s, on_front=s in costed and not any(_beats(other, s) for other in costed)) for s in listed]


def _beats(one: Strength, other: Strength) -> bool:
    """Whether an attack breaks at least as much with at most as many passes, and differs in one of them."""
    mine, its = (one.broken.value or 0.0, -(one.passes or 0.0)), (other.broken.value or 0.0, -(other.passes or 0.0))
    return mine != its and mine[0] >= its[0] and mine[1] >= its[1]
