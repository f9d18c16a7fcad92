"""`medrobust plan`: what a run would do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from .next_command import next_command
from .options import (
    DEFAULT_STORE,
    DataRootOption,
    DeviceOption,
    EvidenceOption,
    GridArgument,
    ImagesOption,
    JsonOption,
    PluginOption,
    PrecisionOption,
    ProfileOption,
    StoreOption,
)
from .printing import console
from .sessions import grid_file, open_session, print_notes
from .workload import Workload, print_workload

if TYPE_CHECKING:
    from ..grid.cells import Cell
    from ..grid.plan import Entry, Plan

SHOWN = 10
"""Missing cells that are named; `--json` lists all."""


def plan(
    grid: GridArgument,
    store: StoreOption = None,
    profile: ProfileOption = "",
    images: ImagesOption = None,
    precision: PrecisionOption = None,
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
    device: DeviceOption = "",
    on: Annotated[
        str, typer.Option("--on", metavar="NAME", help="Hours on the calibrated device whose name contains NAME.")
    ] = "",
    throughput: Annotated[
        Path | None, typer.Option("--throughput", metavar="FILE", help="Measurements of another machine's calibrate.")
    ] = None,
    evidence: EvidenceOption = True,
    as_json: JsonOption = False,
) -> None:
    """Show what a run would do: cells in the store, missing, excluded and impossible, passes, and hours where the
    device was calibrated (medrobust calibrate)."""
    from ..engine.running.estimate import Costs, estimate

    session = open_session(store or DEFAULT_STORE, plugin=plugin, data_root=data_root, device=device)
    file = grid_file(grid, session)
    planned = session.plan(file, profile=profile, images=images, precision=precision or "", evidence=evidence)
    print_notes(session)
    finished = set(session.done().cells)
    steps = session.steps(planned)
    seconds = estimate(steps, session.store, Costs(session.context))
    workload = Workload.of(steps, session, on, throughput)
    if as_json:
        _print_json(planned, finished, len(steps), seconds, workload)
        return
    console.print(Text(f"Plan of {grid}" + (f", profile {profile}" if profile else "")), soft_wrap=True)
    missing = [c for c in planned.cells.values() if c.id not in finished]
    _print_counts(planned, len(missing), len(steps))
    if steps:
        # One time is enough: what was measured on idle hardware comes before what runs beside others once took.
        _print_missing(missing, seconds if workload.seconds is None else None)
        words = ["calibrate", str(grid)]
        options = {"--profile": profile or None, "--data-root": data_root, "--device": device or None}
        words += [word for name, value in options.items() if value for word in (name, str(value))]
        words += [word for file in plugin or () for word in ("--plugin", str(file))]
        print_workload(workload, words)
        next_command(
            "run",
            grid,
            store=store,
            profile=profile,
            images=images,
            precision=precision,
            plugin=plugin,
            data_root=data_root,
        )


def _print_json(planned: Plan, finished: set[str], steps: int, seconds: float | None, workload: Workload) -> None:
    cells = [
        {
            "cell": e.cell.id if e.cell else None,
            **e.row(),
            "state": _state(e, finished),
            "reason": e.excluded or e.impossible,
        }
        for e in planned.entries
    ]
    typer.echo(json.dumps({"cells": cells, "steps": steps, "estimated_seconds": seconds, **workload.facts()}, indent=1))


def _state(entry: Entry, finished: set[str]) -> str:
    if entry.excluded:
        return "excluded"
    if entry.cell is None:
        return "impossible"
    return "cached" if entry.cell.id in finished else "missing"


def _print_counts(planned: Plan, missing: int, steps: int) -> None:
    excluded, impossible = list(planned.excluded), list(planned.impossible)
    table = Table("cells", "")
    table.add_row("in the store", str(len(planned.cells) - missing))
    table.add_row("to compute", f"{missing} in {steps} steps")
    table.add_row("excluded", str(len(excluded)))
    table.add_row("impossible here", str(len(impossible)))
    console.print(table)
    _print_reasons("Excluded", (e.excluded for e in excluded))
    _print_reasons("Impossible here", (e.impossible for e in impossible))
    if impossible:
        console.print(_cost_of(impossible), highlight=False, soft_wrap=True)


def _print_reasons(title: str, reasons: Iterable[str]) -> None:
    for reason, count in Counter(reasons).most_common():
        console.print(Text(f"{title} ({count}): {reason}"), soft_wrap=True)


def _cost_of(impossible: Sequence[Entry]) -> str:
    """What the combinations that lack data or weights would cost, in models, attacks and cells."""
    rows = [entry.row() for entry in impossible]
    fit = ("dataset", "train_set", "model", "seed")
    counts = (
        (len({tuple(row[a] for a in fit) for row in rows}), "model to train", "models to train"),
        (
            len({tuple(row[a] for a in (*fit, "defense")) for row in rows if row["defense"] != "none"}),
            "defended model",
            "defended models",
        ),
        (
            len({tuple(v for a, v in row.items() if a != "evaluate_on") for row in rows if row["attack"] != "none"}),
            "attack",
            "attacks",
        ),
        (len(rows), "cell", "cells"),
    )
    told = ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in counts if count)
    return f"If these were available, the plan would also have {told}"


def _print_missing(missing: Sequence[Cell], seconds: float | None) -> None:
    from ..engine.running.progress import human_time

    if seconds is not None:
        console.print(f"By what the store has recorded: about {human_time(seconds)} on one process", highlight=False)
    for cell in missing[:SHOWN]:
        console.print(Text(f"  {cell.id}  {cell.describe()}"), soft_wrap=True)
    if len(missing) > SHOWN:
        console.print(f"  and {len(missing) - SHOWN} more (--json lists all)")
