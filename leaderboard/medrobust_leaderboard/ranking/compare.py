"""Two attacks head to head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np

from medrobust import MedrobustError
from medrobust.api import did_you_mean

from .board import AttackName, Duel
from .standings import Contest
from .strength import adjusted, broken_by, versus_of


def duels_of(contests: Sequence[Contest], first: str, second: str) -> list[Duel]:
    """Every pair of attacks that two names mean, on every track that has both and a model that both were tried on.

    Args:
        contests: the tracks.
        first, second: a name of the board (`pgd(steps=20)`), that of a plugin whatever its parameters (`pgd`), or a
            pattern.

    Raises:
        MedrobustError: for a name that no track has, or two that no model faced.
    """
    every = list(dict.fromkeys(c for contest in contests for c in contest.columns))
    for name in (first, second):
        if not _meant(name, every):
            names = list(dict.fromkeys(n for c in every for n in (c.name, _family(c), c.plugin)))
            raise MedrobustError(
                f"no attack is called '{name}'{did_you_mean(name, names)} (here: {', '.join(c.name for c in every)})"
            )
    found = [
        duel
        for contest in contests
        for one in _meant(first, contest.columns)
        for other in _meant(second, contest.columns)
        if one != other and (duel := _duel(contest, one, other)) is not None
    ]
    if not found:
        raise MedrobustError(f"'{first}' and '{second}' were tried on no model with the same budget")
    told = adjusted([duel.versus for duel in found])
    return [replace(duel, versus=versus) for duel, versus in zip(found, told, strict=True)]


def _meant(name: str, attacks: Iterable[AttackName]) -> list[AttackName]:
    """The attacks that a name means: exactly that one, else those of the plugin, else those that match a pattern."""
    attacks = list(attacks)
    return (
        [a for a in attacks if name in (a.name, a.attack)]
        or [a for a in attacks if name in (_family(a), a.plugin)]
        or [a for a in attacks if fnmatchcase(a.name, name.replace("[", "[[]"))]
    )


def _family(attack: AttackName) -> str:
    return attack.attack.partition("(")[0].partition("[")[0]


def _duel(contest: Contest, first: AttackName, second: AttackName) -> Duel | None:
    found = broken_by(contest, [first.name, second.name])
    if found is None:
        return None
    one, other = found.hits[first.name], found.hits[second.name]
    if not len(one):
        return None
    return Duel(
        track=contest.track,
        first=first,
        second=second,
        models=len(found.models),
        n=len(one),
        both=int(np.count_nonzero(one & other)),
        only_first=int(np.count_nonzero(one & ~other)),
        only_second=int(np.count_nonzero(other & ~one)),
        neither=int(np.count_nonzero(~one & ~other)),
        versus=versus_of(found, first.name, second.name),
    )
