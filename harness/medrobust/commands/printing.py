"""Printing what a run did, and the evidence on whether its results can be trusted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

if TYPE_CHECKING:
    from ..engine.session import Outcome
    from ..results.evidence import Check

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


def harmless(text: str) -> str:
    """A text whose control characters are spelt out: the names of strangers may hold what steers a terminal."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class HarmlessConsole(Console):
    """Prints no control characters but its own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(harmless(segment.text), segment.style)


console = HarmlessConsole()
errors = HarmlessConsole(stderr=True)

SUBJECTS = 6
"""Models without a flag that a line of evidence names."""
RAISED = " raised "
"""Separates a step from its error in a reason."""
CELLS = 3
"""Cells that a line with a reason names."""


def print_outcome(outcome: Outcome, store: Path) -> None:
    """What a run did, what is missing and why (each reason once), and where it wrote."""
    console.print(_summary(outcome), highlight=False, soft_wrap=True)
    for status, reason, cells in _grouped(outcome.problems):
        named = ", ".join(cells[:CELLS]) + (f" and {len(cells) - CELLS} more" if len(cells) > CELLS else "")
        _print_problem(f"{status} ({counted(len(cells), 'cell')}: {named})", reason)
    for reason in outcome.impossible:
        _print_problem("impossible here", reason)
    console.print(f"Records: {store}", markup=False, highlight=False, soft_wrap=True)


def _grouped(problems: Sequence[tuple[str, str, str]]) -> Iterator[tuple[str, str, list[str]]]:
    """Each status and reason with its cells; one error of several steps is one reason, which names the first step."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for cell, status, reason in problems:
        what, raised, error = reason.partition(RAISED)
        groups.setdefault((status, error if raised else reason), []).append((cell, what if raised else ""))
    for (status, text), found in groups.items():
        cells = list(dict.fromkeys(cell for cell, _ in found))
        steps = list(dict.fromkeys(what for _, what in found if what))
        others = f" and {counted(len(steps) - 1, 'other')}" if len(steps) > 1 else ""
        yield status, f"{steps[0]}{others}{RAISED}{text}" if steps else text, cells


def _summary(outcome: Outcome) -> str:
    from ..engine.running.progress import human_time

    status_of = {cell: status for cell, status, _ in outcome.problems}
    computed = max(outcome.made - len(status_of), 0)
    parts = [f"{outcome.cached} already in the store", f"{computed} computed in {human_time(outcome.seconds)}"]
    if outcome.elsewhere:
        parts.append(f"{outcome.elsewhere} computed by other runs meanwhile")
    parts += [f"{count} {status}" for status, count in Counter(status_of.values()).items()]
    text = f"{counted(outcome.made + outcome.cached, 'cell')}: {', '.join(parts)}."
    if outcome.excluded:
        text += f" {counted(outcome.excluded, 'combination')} excluded ('medrobust plan' lists the reasons)."
    if outcome.steps_elsewhere:
        text += f" {counted(outcome.steps, 'step')} run here, {outcome.steps_elsewhere} by other runs."
    return text


PLURALS = {
    "line of evidence": "lines of evidence",
    "set of weights": "sets of weights",
    "perturbation or probe": "perturbations or probes",
    "description of images": "descriptions of images",
    "model without its evidence": "models without their evidence",
    "cell that no run asked for": "cells that no run asked for",
}


def counted(count: int, noun: str) -> str:
    """`1 cell`, `2 cells`."""
    return f"{count} {noun if count == 1 else PLURALS.get(noun, f'{noun}s')}"


def _print_problem(what: str, reason: str) -> None:
    errors.print(Text.assemble((what, "red"), f": {reason}"), soft_wrap=True)


def print_evidence(rows: Sequence[Mapping[str, Any]]) -> None:
    """Each flagged check with its numbers and a sentence of advice, then the models without a flag, by badge."""
    from ..results.evidence import Check, badge

    subjects: dict[tuple[str, ...], list[Check]] = {}
    for row in rows:
        key = tuple(str(row[k]) for k in ("model", "defense", "dataset", "seed", "norm"))
        subjects.setdefault(key, []).append(Check(row["check"], row["outcome"], row["detail"], row["advice"]))
    if not subjects:
        return
    console.print("[bold]Evidence[/]: can these robust accuracies be trusted?", highlight=False)
    passed: dict[tuple[str, str], list[str]] = {}
    for (model, defense, dataset, seed, norm), checks in subjects.items():
        subject = f"{model}{'' if defense == 'none' else f' + {defense}'} on {dataset}, seed {seed}"
        if any(c.outcome == "flagged" for c in checks):
            _print_flagged(f"{subject}, {norm}", badge(checks), checks)
        else:
            passed.setdefault((norm, badge(checks)), []).append(subject)
    for (norm, found), names in passed.items():
        more = f" and {len(names) - SUBJECTS} more" if len(names) > SUBJECTS + 1 else ""
        shown = "; ".join(names[:SUBJECTS] if more else names) + more
        console.print(Text.assemble(f"  {norm}: ", (found, "green"), f": {shown}"), soft_wrap=True)


def _print_flagged(subject: str, found: str, checks: Sequence[Check]) -> None:
    console.print(Text.assemble(f"  {subject}: ", (found, "red")), soft_wrap=True)
    for check in checks:
        if check.outcome == "flagged":
            console.print(Text(f"    {check.name}: {check.detail}. {check.advice}"), soft_wrap=True)
