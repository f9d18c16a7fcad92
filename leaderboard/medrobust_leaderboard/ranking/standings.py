"""Defended models by robust accuracy under their worst attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medrobust.api import Record, Value, measure, over_seeds, rank_intervals, ranks, stays_robust, worst_case

from ..report import table_cell
from ..store_cells import Result
from ..table import State, TableCell, joined
from .board import AttackName, Standing, Standings, Track
from .flags import flags_of
from .naming import ModelName, by
from .trials import TargetKey, Trial

EvidenceRows = Mapping[tuple[TargetKey, str, str], Sequence[Mapping[str, Any]]]
RATE = (0.0, 1.0)


@dataclass(frozen=True)
class Contest:
    """What happened on one track.

    Attributes:
        track: where.
        trials: all of them.
        models: the name of each model.
        attacks: the attack of each cell.
        absent: results without a record, by model (`ModelName.name`).
        evidence: rows of the evidence checks.
        stores: names of all stores.
    """

    track: Track
    trials: Sequence[Trial]
    models: Mapping[TargetKey, ModelName]
    attacks: Mapping[str, AttackName]
    absent: Mapping[str, Sequence[Result]]
    evidence: EvidenceRows
    stores: Sequence[str]

    def name_of(self, trial: Trial) -> str:
        """The attack of a trial."""
        return self.attacks[trial.result.cell].name

    @property
    def columns(self) -> tuple[AttackName, ...]:
        """The attacks, each once."""
        return tuple(dict.fromkeys(self.attacks.values()))


def standings_of(contest: Contest) -> Standings:
    """The rows of a track, ranked."""
    groups = by(contest.trials, lambda t: contest.models[t.target])
    faced = {name: {contest.name_of(t) for t in mine} for name, mine in groups.items()}
    # What most models faced, a model must have faced to be ranked with them.
    panel = {c.name for c in contest.columns if 2 * sum(c.name in names for names in faced.values()) > len(groups)}
    rows = [_row(contest, name, mine, panel) for name, mine in groups.items()]
    ranked = [row for row, _ in rows if not row.barred]
    hits = [worst for row, worst in rows if not row.barred]
    groups_of_images = contest.trials[0].record.groups
    intervals = rank_intervals(hits, groups_of_images)
    places = ranks([_number(row.worst) for row in ranked])
    told = [
        replace(row, rank=rank, tied=places.count(rank) > 1, rank_low=ends and ends[0], rank_high=ends and ends[1])
        for row, rank, ends in zip(ranked, places, intervals, strict=True)
    ]
    told.sort(key=lambda row: (row.rank, -_number(row.clean), row.name))
    barred = sorted((row for row, _ in rows if row.barred), key=lambda row: (-_number(row.worst), row.name))
    return Standings(contest.track, contest.columns, (*told, *barred))


def _row(
    contest: Contest, name: ModelName, trials: Sequence[Trial], panel: set[str]
) -> tuple[Standing, list[np.ndarray[Any, Any]]]:
    """A row without its rank, and for each seed the share of draws in which an image survives every attack."""
    names = [c.name for c in contest.columns if any(contest.name_of(t) == c.name for t in trials)]
    seeds = by(trials, lambda t: t.labels["seed"])
    # The worst case of a seed that faced fewer attacks than others is another quantity.
    full = {seed: mine for seed, mine in seeds.items() if {contest.name_of(t) for t in mine} == set(names)}
    # No seed faced all of them: what those did that faced most.
    most = max(len({contest.name_of(t) for t in mine}) for mine in seeds.values())
    kept = full or {s: mine for s, mine in seeds.items() if len({contest.name_of(t) for t in mine}) == most}
    worst = {seed: worst_case(_on_same_images(mine)) for seed, mine in kept.items()}
    left = [seed for seed in seeds if seed not in kept]
    note = f"without seed {', '.join(left)}, which faced fewer attacks" if left else ""
    cells = {n: _cell([t for t in trials if contest.name_of(t) == n], "accuracy") for n in names}
    cells |= _absent(contest, name, cells)
    row = Standing(
        model=name.model,
        defense=name.defense,
        train_set=name.train_set,
        mark=name.mark,
        name=name.name,
        clean=_cell([mine[0] for mine in kept.values()], "clean_accuracy"),
        worst=_number_of(
            [measure("accuracy", record) for record in worst.values()], [t for m in kept.values() for t in m], note
        ),
        attacks=cells,
        seeds=tuple(kept),
        flags=flags_of(contest, trials, cells, panel, contest.absent.get(name.name, ())),
        targets=tuple(dict.fromkeys(t.result.target for t in trials)),
        stores=tuple(dict.fromkeys(contest.stores[t.result.store] for t in trials)),
    )
    return row, [stays_robust(record) for record in worst.values()]


def _on_same_images(trials: Sequence[Trial]) -> list[Record]:
    """Records with one clean record: that of two stores may differ in the last digits."""
    first = trials[0].record
    return [replace(t.record, clean=first.clean, clean_more=first.clean_more) for t in trials]


def _absent(contest: Contest, name: ModelName, known: Mapping[str, TableCell]) -> dict[str, TableCell]:
    """Attacks that were asked for and gave no result."""
    found: dict[str, TableCell] = {}
    for result in contest.absent.get(name.name, ()):
        columns = [c.name for c in contest.columns if c.attack == result.labels["attack"]]
        for column in columns[:1]:
            if column not in known:
                state: State = "missing" if result.status == "missing" else "failed"
                found[column] = TableCell(state=state, note=result.reason, facts={"cells": result.cell})
    return found


def _cell(trials: Sequence[Trial], metric: str) -> TableCell:
    """A number over the seeds of one attack, each seed once."""
    once = list({t.labels["seed"]: t for t in reversed(trials)}.values())[::-1]
    return _number_of([measure(metric, t.record) for t in once], once)


def _number_of(values: Sequence[Value], trials: Sequence[Trial], note: str = "") -> TableCell:
    value = over_seeds(values, RATE) if len(values) > 1 else values[0]
    cell = table_cell(value, None)
    facts = {
        "cells": joined(t.result.cell for t in trials),
        "seeds": joined(t.labels["seed"] for t in trials),
    }
    return replace(cell, facts=facts, note="; ".join(t for t in (cell.note, value.note, note) if t))


def _number(cell: TableCell) -> float:
    return -1.0 if cell.value is None else cell.value
