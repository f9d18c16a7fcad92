"""What a reader of a row must know, and whether it keeps the row out of the ranking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from ..machines import machine_note, precision_note
from ..overlap import together
from ..store_cells import Result
from ..table import TableCell
from .board import Flag
from .trials import Trial

if TYPE_CHECKING:
    from .standings import Contest

COLLECTED = "a very large eps reaches about zero"
"""The check that needs cells which `run` adds: without it, nobody has collected evidence."""
ABOUT_THE_ATTACK = "iterative at least as strong as single-step"
"""The check whose flag leaves the worst case as it is."""
NOT_COLLECTED = "run the grid again without --no-evidence"


def flags_of(
    contest: Contest,
    trials: Sequence[Trial],
    cells: Mapping[str, TableCell],
    panel: AbstractSet[str],
    absent: Sequence[Result] = (),
) -> tuple[Flag, ...]:
    """The flags of a row.

    Args:
        contest: the track.
        trials: those of the row.
        cells: its numbers by attack; those without a value were asked for and gave none.
        panel: attacks that most models of the track faced.
        absent: what was asked for and has no record.
    """
    return (
        *_evidence(contest, trials),
        *_attacks(contest, trials, cells, panel),
        *_failed_everywhere(contest, absent),
        *_facts(trials),
    )


def _evidence(contest: Contest, trials: Sequence[Trial]) -> Iterator[Flag]:
    found: dict[str, Flag] = {}
    collected = False
    for target in dict.fromkeys(t.target for t in trials):
        for row in contest.evidence.get((target, contest.track.part, contest.track.norm), ()):
            collected |= row["check"] == COLLECTED and row["outcome"] != "not checked"
            if row["outcome"] == "flagged":
                # The worst case counts the single step that was stronger: it is the iterative attack that is in doubt.
                bars = row["check"] != ABOUT_THE_ATTACK
                found.setdefault(row["check"], Flag("evidence", row["check"], row["detail"], row["advice"], bars=bars))
    yield from found.values()
    if not collected:
        yield Flag("evidence", "no evidence was collected", advice=NOT_COLLECTED)


def _attacks(
    contest: Contest, trials: Sequence[Trial], cells: Mapping[str, TableCell], panel: AbstractSet[str]
) -> Iterator[Flag]:
    faced = {contest.name_of(t) for t in trials}
    if all(t.result.control for t in trials):
        yield Flag("attacks", "no attack that sees the model", "only controls, which know nothing of it", bars=True)
    for column in contest.columns:
        if column.name in faced:
            continue
        cell = cells.get(column.name)
        barring = column.name in panel
        if cell is not None and cell.state == "failed":
            yield Flag("failed", f"{column.name} failed", cell.note, bars=barring)
        else:
            told = "most models of this track faced it" if barring else "other models of this track faced it"
            yield Flag("attacks", f"not attacked by {column.name}", told, bars=barring)


def _failed_everywhere(contest: Contest, absent: Sequence[Result]) -> Iterator[Flag]:
    """Attacks that failed and have no column, since they gave no number for any model of the track."""
    columns = {column.attack for column in contest.columns}
    failed = {r.labels["attack"]: r for r in absent if r.status in ("failed", "invalid")}
    for attack, result in failed.items():
        if attack not in columns:
            yield Flag("failed", f"{attack} failed", result.reason)


def _facts(trials: Sequence[Trial]) -> Iterator[Flag]:
    if shared := together(t.result.shared_groups for t in trials):
        yield Flag("shared patients", "patients in training images", shared)
    if said := together(t.result.reason for t in trials):
        yield Flag("not repeatable", "equal seeds need not repeat it", said)
    if note := precision_note(t.labels["precision"] for t in trials):
        yield Flag("precision", "not float32", note)
    if note := machine_note(t.result.machine for t in trials):
        yield Flag("machines", "several machines", note)
