"""What is tried on a model: the list in `trials.toml` or a file of one's own, and the grid that it makes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from ..contracts import AXES
from ..errors import GridError
from ..grid.evidence_cells import TAG
from ..grid.plan import Entry
from .judgement import Kind
from .subject import Subject

BUNDLED: Final = Path(__file__).parent / "trials.toml"
OF_TRIAL: Final = "trial"
"""Tag of the entries of a trial."""
CHECKS: Final = "checks"
"""Stands for the cells that the checks of evidence need, and the clean record."""
KEYS: Final = ("id", "title", "kind", "grid")


@dataclass(frozen=True)
class Trial:
    """One attack at some budgets.

    Attributes:
        id: its name in the list.
        title: in words.
        kind: what the attack knows of the model.
        table: a table of a grid, without model and images.
        budgets: in the order of their importance.
    """

    id: str
    title: str
    kind: Kind
    table: Mapping[str, Any]
    budgets: tuple[str, ...]

    @property
    def early(self) -> bool:
        """Whether broken images leave, so that it takes less time than its passes say."""
        return bool(self.table.get("stop") == "success")


@dataclass(frozen=True)
class Trials:
    """The list, and names that its tables use."""

    trials: tuple[Trial, ...]
    define: Mapping[str, Any]

    def of(self, identity: str) -> Trial:
        return next(t for t in self.trials if t.id == identity)


def read_trials(file: Path | None = None) -> Trials:
    """A list of trials; the bundled one if no file is given.

    Raises:
        GridError: naming file, trial and key.
    """
    file = file or BUNDLED
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise GridError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    found = raw.get("trial", [])
    if not isinstance(found, list) or not found:
        raise GridError(f"{file}: no [[trial]] table; each has {', '.join(KEYS)}")
    trials = tuple(_trial(table, f"{file}: trial[{i}]") for i, table in enumerate(found))
    if len({t.id for t in trials}) < len(trials):
        raise GridError(f"{file}: two trials have the same id")
    return Trials(trials, raw.get("define", {}))


def _trial(table: Mapping[str, Any], where: str) -> Trial:
    if set(table) != set(KEYS) or not isinstance(table["grid"], Mapping):
        raise GridError(f"{where}: a trial has {', '.join(KEYS[:-1])} and a table [trial.grid]; got {', '.join(table)}")
    if table["kind"] not in get_args(Kind):
        raise GridError(f"{where}: kind is one of {', '.join(get_args(Kind))}, not '{table['kind']}'")
    grid = dict(table["grid"])
    if taken := {"dataset", "model", "evaluate_on"} & set(grid):
        raise GridError(f"{where}.grid: {', '.join(sorted(taken))} is what is judged, and is added")
    budgets = grid.get("budget", [])
    budgets = [budgets] if isinstance(budgets, str) else list(budgets)
    if not budgets:
        raise GridError(f"{where}.grid: 'budget' is missing")
    return Trial(str(table["id"]), str(table["title"]), table["kind"], grid, tuple(map(str, budgets)))


def cannot(trial: Trial, subject: Subject) -> str:
    """Why a trial cannot be run on images; empty if it can."""
    if trial.kind not in ("universal", "transfer"):
        return ""
    if subject.crafting is None:
        return "it needs images beside those that are judged, and there are too few to set some aside"
    if trial.kind == "transfer" and subject.crafting.labels is None:
        return "the other network is trained on labelled images, and these have no labels"
    return ""


def grid_of(
    trials: Sequence[Trial], define: Mapping[str, Any], dataset: str, model: str, **common: Any
) -> dict[str, Any]:
    """The content of a grid file.

    Args:
        trials: what is tried; the one with the most steps comes first, since the checks of evidence take its attack.
        define: names for its tables.
        dataset, model: what is judged.
        common: further keys of all tables, which go before those of a trial.
    """
    first = sorted(trials, key=lambda t: t.kind != "white-box" or not _steps(t.table))
    tables = [
        {**t.table, **common, "dataset": dataset, "model": model, "evaluate_on": "test", "tags": {OF_TRIAL: t.id}}
        for t in first
    ]
    clean = {"dataset": dataset, "model": model, "evaluate_on": "test", "tags": {OF_TRIAL: CHECKS}}
    clean |= {key: value for key, value in common.items() if key == "threads"}
    return {"define": dict(define), "grid": [clean, *tables]}


def _steps(table: Mapping[str, Any]) -> int:
    attack = table.get("attack")
    return int(attack.get("steps", 0)) if isinstance(attack, Mapping) and "surrogate" not in table else 0


def groups_of(entries: Sequence[Entry]) -> Iterator[tuple[str, str, list[Entry]]]:
    """Entries by trial and budget; those of the checks under the name `CHECKS`.

    A trial on fewer images has a clean record of its own, which each of its budgets needs.
    """
    groups: dict[tuple[str, str], list[Entry]] = {}
    clean: dict[str, list[Entry]] = {}
    budget = AXES.index("budget")
    for entry in entries:
        trial = CHECKS if TAG in entry.tags else entry.tags[OF_TRIAL]
        if trial == CHECKS:
            groups.setdefault((trial, ""), []).append(entry)
        elif entry.labels[budget]:
            groups.setdefault((trial, entry.labels[budget]), []).append(entry)
        else:
            clean.setdefault(trial, []).append(entry)
    for (trial, label), found in groups.items():
        yield trial, label, [*clean.get(trial, ()), *found]
