"""Command-line options that several commands share, and how they open a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from .engine.prepare import Acceleration
from .engine.session import Outcome, Session
from .results.evidence import Check, badge

console = Console()
errors = Console(stderr=True)

PluginOption = Annotated[
    list[Path] | None, typer.Option("--plugin", metavar="FILE", help="Load a local plugin file; may be given again.")
]
DataRootOption = Annotated[
    Path | None, typer.Option("--data-root", metavar="DIR", help="Root of file-based data sets (or MEDROBUST_DATA).")
]
StoreOption = Annotated[Path | None, typer.Option("--store", metavar="DIR", help="Where results are kept.")]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", metavar="N", min=1, help="Processes; one a core if not given.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="Torch device, such as cpu or cuda; CUDA if there is one.")]
ProfileOption = Annotated[str, typer.Option("--profile", metavar="NAME", help="Profile of the grid file.")]
ImagesOption = Annotated[
    int | None, typer.Option("--images", metavar="N", min=1, help="Thin every evaluation to about N images.")
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Stop at the first broken plugin.")]
EvidenceOption = Annotated[
    bool, typer.Option("--evidence", help="Add the few cheap cells that tell whether the numbers can be believed.")
]
AccelerationOption = Annotated[
    str,
    typer.Option(
        "--acceleration",
        help="Parts of the fast path: auto, none, or a list of fold, stem, channels-last, bfloat16, compile.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")]


SUBJECTS = 6
"""Models without a flag that a line of evidence names."""


def open_session(
    store: Path,
    *,
    plugin: list[Path] | None = None,
    data_root: Path | None = None,
    workers: int | None = None,
    device: str = "",
    strict: bool = False,
    acceleration: str = "auto",
) -> Session:
    """A session from command-line options; broken plugins are named on standard error, one line each."""
    session = Session(
        store,
        tuple(plugin or ()),
        data_root=data_root,
        workers=workers,
        device=device,
        strict=strict,
        acceleration=Acceleration.parse(acceleration),
    )
    for fault in session.registry.faults:
        errors.print(Text.assemble(("plugin left out: ", "yellow"), str(fault)), soft_wrap=True)
    return session


def print_outcome(outcome: Outcome, store: Path) -> None:
    """What a run did, what is missing and why, and where it wrote."""
    from .engine.progress import human_time

    total = outcome.made + outcome.cached
    parts = [f"{total} cells: {outcome.cached} were there, {outcome.made} computed in {human_time(outcome.seconds)}"]
    if outcome.excluded:
        parts.append(f"{outcome.excluded} combinations excluded ('medrobust plan' says why)")
    console.print("; ".join(parts) + ".", highlight=False, soft_wrap=True)
    grouped: dict[tuple[str, str], list[str]] = {}
    for cell, status, reason in outcome.problems:
        grouped.setdefault((status, reason), []).append(cell)
    for (status, reason), cells in grouped.items():
        named = ", ".join(cells[:3]) + (f" and {len(cells) - 3} more" if len(cells) > 3 else "")
        errors.print(f"[red]{status}[/] ({len(cells)} cells: {named}): ", end="", soft_wrap=True, highlight=False)
        errors.print(reason, markup=False, soft_wrap=True, highlight=False)
    for reason in outcome.impossible:
        errors.print("[red]impossible here[/]: ", end="", soft_wrap=True, highlight=False)
        errors.print(reason, markup=False, soft_wrap=True, highlight=False)
    console.print(f"Records: {store}", markup=False, highlight=False, soft_wrap=True)


def print_evidence(rows: Sequence[Mapping[str, Any]]) -> None:
    """Each flagged check with its numbers and a sentence of advice, then the models without a flag, by badge."""
    subjects: dict[tuple[str, ...], list[Check]] = {}
    for row in rows:
        key = tuple(str(row[k]) for k in ("model", "defense", "dataset", "seed", "norm"))
        subjects.setdefault(key, []).append(Check(row["check"], row["outcome"], row["detail"], row["advice"]))
    if not subjects:
        return
    console.print("[bold]Evidence[/]: can the robust accuracies be believed?", highlight=False)
    passed: dict[tuple[str, str], list[str]] = {}
    for (model, defense, dataset, seed, norm), checks in subjects.items():
        flagged = [c for c in checks if c.outcome == "flagged"]
        subject = f"{model}{'' if defense == 'none' else f' + {defense}'} on {dataset}, seed {seed}"
        if not flagged:
            passed.setdefault((norm, badge(checks)), []).append(subject)
            continue
        text = Text(f"  {subject}, {norm}: ")
        text.append(badge(checks), style="red")
        console.print(text, soft_wrap=True)
        for check in flagged:
            console.print(Text(f"    {check.name}: {check.detail}. {check.advice}"), soft_wrap=True)
    for (norm, found), names in passed.items():
        text = Text(f"  {norm}: ")
        text.append(found, style="green")
        more = f" and {len(names) - SUBJECTS} more" if len(names) > SUBJECTS + 1 else ""
        text.append(": " + "; ".join(names[:SUBJECTS] if more else names) + more)
        console.print(text, soft_wrap=True)
