"""Which trials share a track, a model or an attack, and what readers call them.

What is equal by identity is one thing, however many names grids give it; what has equal names and differs is told apart
in words.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from medrobust.api import distinguish

from ..store_cells import Identity
from .board import AttackName, Track
from .trials import TargetKey, Trial

LONG = 18
"""Characters from which the name of an attack is shortened and spelled out below a table."""
NORMS = ("linf", "l2", "l1", "l0", "unbounded")
NOT_THE_ATTACK = ("target", "evaluate_on", "source", "budget", "zeta_of", "seed")
"""Fields of a cell's identity in which the trials of one attack may differ."""

K = TypeVar("K", bound=Hashable)


def by(trials: Iterable[Trial], key: Any) -> dict[Any, list[Trial]]:
    """Trials in groups, in the order in which these appear."""
    groups: dict[Any, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(key(trial), []).append(trial)
    return groups


# Tracks --------------------------------------------------------------------------------------------------------------


def tracks_of(trials: Sequence[Trial], identity: Identity) -> list[tuple[Track, list[Trial]]]:
    """Trials by images and threat model; those collected for evidence make no track of their own."""
    groups = {key: mine for key, mine in by(trials, _track_key).items() if not all(t.result.evidence for t in mine)}
    first = {key: next(t for t in mine if not t.result.evidence) for key, mine in groups.items()}
    families: dict[Any, list[str]] = {}
    for key, trial in first.items():
        families.setdefault((trial.labels["dataset"], trial.labels["evaluate_on"]), []).append(key[0])
    by_part = {key[0]: trial for key, trial in first.items()}
    words = distinguish(families.values(), lambda part: _field(identity(by_part[part].result.cell), "evaluate_on"))
    places = {part: number for number, part in enumerate(by_part)}
    found = [(_track(first[key], words.get(key[0], "")), mine) for key, mine in groups.items()]
    return sorted(found, key=lambda pair: (places[pair[0].part], NORMS.index(pair[0].norm), pair[0].eps))


def _track_key(trial: Trial) -> tuple[Hashable, ...]:
    budget = trial.budget
    relative = budget.eps is not None and budget.eps.unit != "pixel01"
    # A share of the mean norm of the training images is one threat model, whatever that norm is.
    radius = budget.eps.canonical if relative and budget.eps is not None else round(trial.eps, 9)
    return trial.facts["part"], budget.norm, radius, budget.bounded, budget.slack.canonical


def _track(trial: Trial, mark: str) -> Track:
    record, labels = trial.record, trial.labels
    key = json.dumps([str(k) for k in _track_key(trial)])
    return Track(
        dataset=labels["dataset"],
        evaluate_on=labels["evaluate_on"],
        budget=labels["budget"],
        norm=trial.budget.norm,
        eps=trial.eps,
        images=len(record),
        patients=None if record.groups is None else len(set(record.groups.tolist())),
        part=trial.facts["part"],
        mark=mark,
        id=hashlib.sha256(key.encode()).hexdigest()[:10],
    )


# Models --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelName:
    """A defended model on one track, with all its seeds."""

    model: str
    defense: str
    train_set: str
    mark: str
    name: str


def models_of(trials: Sequence[Trial], identity: Identity) -> dict[TargetKey, ModelName]:
    """The name of each model on a track; models that differ in the seed alone have one."""
    first: dict[TargetKey, Trial] = {}
    for trial in trials:
        if trial.target not in first or (first[trial.target].result.evidence and not trial.result.evidence):
            first[trial.target] = trial
    families: dict[Any, list[str]] = {}
    for (target, _), trial in first.items():
        families.setdefault(trial.result.key(("train_set", "model", "defense", "seed")), []).append(target)
    cells = {target: trial.result.cell for (target, _), trial in first.items()}
    words = distinguish(families.values(), lambda target: _field(identity(cells[target]), "target"))
    several = len({trial.labels["train_set"] for trial in first.values()}) > 1
    names: dict[TargetKey, ModelName] = {}
    for key, trial in first.items():
        labels = trial.labels
        mark = "; ".join(word for word in (words.get(key[0], ""), key[1]) if word)
        name = labels["model"] + ("" if labels["defense"] == "none" else f" + {labels['defense']}")
        name += f", trained on {labels['train_set']}" if several else ""
        name += f" ({mark})" if mark else ""
        names[key] = ModelName(labels["model"], labels["defense"], labels["train_set"], mark, name)
    return names


# Attacks -------------------------------------------------------------------------------------------------------------


def attacks_of(trials: Sequence[Trial], identity: Identity) -> dict[str, AttackName]:
    """The attack of each cell of a track; controls come first, then attacks in the order of the grids."""
    digests = {t.result.cell: _attack_digest(t, identity) for t in trials}
    columns = by(_asked_first(trials), lambda t: (digests[t.result.cell], t.surrogate))
    keys: dict[str, tuple[str, ...]] = {}
    for key, mine in columns.items():
        words = _apart(mine, identity)
        keys |= {t.result.cell: (*key, words.get(t.result.cell, "")) for t in mine}
    first: dict[tuple[str, ...], Trial] = {}
    for trial in _asked_first(trials):
        first.setdefault(keys[trial.result.cell], trial)
    marks = _marks(first, identity)
    names = _names(first, marks)
    return {cell: names[key] for cell, key in keys.items()}


def _asked_first(trials: Iterable[Trial]) -> list[Trial]:
    """Controls, then other attacks; of each, what grids ask for before what was added for evidence."""
    return sorted(trials, key=lambda t: (not t.result.control, t.result.evidence))


def _attack_digest(trial: Trial, identity: Identity) -> str:
    fields = _attack_fields(identity(trial.result.cell))
    text = json.dumps(fields, sort_keys=True) if fields is not None else trial.result.cell
    return hashlib.sha256(text.encode()).hexdigest()


def _attack_fields(fields: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if fields is None else {k: v for k, v in fields.items() if k not in NOT_THE_ATTACK}


def _apart(trials: Sequence[Trial], identity: Identity) -> dict[str, str]:
    """Words for the cells of an attack that one model faced twice, such as from two surrogates of one name."""
    families = by(trials, lambda t: t.target)
    return distinguish([[t.result.cell for t in mine] for mine in families.values()], identity)


def _marks(first: Mapping[tuple[str, ...], Trial], identity: Identity) -> dict[tuple[str, ...], str]:
    families: dict[Any, list[str]] = {}
    axes = ("attack", "goal", "precision", "craft_on")
    for key, trial in first.items():
        families.setdefault((trial.result.key(axes), *key[1:]), []).append(trial.result.cell)
    words = distinguish(families.values(), lambda cell: _attack_fields(identity(cell)))
    return {k: "; ".join(w for w in (k[2], words.get(t.result.cell, "")) if w) for k, t in first.items()}


def _names(first: Mapping[K, Trial], marks: Mapping[K, str]) -> dict[K, AttackName]:
    alike = {
        key: [t for t in first.values() if t.labels["attack"] == trial.labels["attack"]] for key, trial in first.items()
    }
    names: dict[K, AttackName] = {}
    shortened = 0
    for key, trial in first.items():
        labels = trial.labels
        varying = {axis for axis in ("goal", "craft_on") if len({t.labels[axis] for t in alike[key]}) > 1}
        name = labels["attack"]
        name += f", {labels['goal']}" if labels["goal"].startswith("target:") or "goal" in varying else ""
        name += f" in {labels['precision']}" if labels["precision"] not in ("", "float32") else ""
        name += f" from {trial.surrogate}" if trial.surrogate else ""
        name += f", fitted on {labels['craft_on']}" if "craft_on" in varying else ""
        name += f" ({marks[key]})" if marks[key] else ""
        short = name
        if len(name) > LONG:
            shortened += 1
            short = f"{labels['attack'].partition('(')[0][: LONG - 5]} #{shortened}"
        names[key] = AttackName(
            name=name,
            short=short,
            **{axis: labels[axis] for axis in ("attack", "goal", "precision", "craft_on")},
            surrogate=trial.surrogate,
            mark=marks[key],
            control=trial.result.control,
            white_box=bool(trial.facts["white_box"]),
            plugin=str(trial.facts["attack"]).partition("(")[0],
        )
    return names


def _field(fields: Mapping[str, Any] | None, name: str) -> Mapping[str, Any] | None:
    found = None if fields is None else fields.get(name)
    return found if isinstance(found, Mapping) else None
