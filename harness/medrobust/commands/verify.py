"""`medrobust verify`: whether the records of a store can be reproduced."""

from __future__ import annotations

import dataclasses
import json
import secrets
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from ..errors import MedrobustError
from .next_command import next_command
from .options import AccelerationOption, DataRootOption, DeviceOption, JsonOption, PluginOption, WorkersOption
from .printing import console
from .sessions import open_session
from .store import StoreArgument, opened_store, say

if TYPE_CHECKING:
    from ..engine.verification import Verification

SAMPLE = 5
"""Cells that are drawn where no number is given."""
WORDS = {
    "equal": ("equal", "green"),
    "rounding": ("equal within float32 rounding", "green"),
    "interval": ("within the interval", "green"),
    "different": ("different", "red"),
    "not run": ("cannot be run here", "yellow"),
}
DIFFERENT, NOT_RUN = 1, 3
"""Exit statuses: of a store with a record that differs, and of one of which only some could not be run."""


def verify(
    store: StoreArgument,
    sample: Annotated[int, typer.Option("--sample", metavar="N", min=1, help="Number of cells to draw.")] = SAMPLE,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="S", min=0, help="Repeat a draw (default: other cells each time)."),
    ] = None,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit",
            help="Train models, defenses and universal perturbations again instead of taking those of the store; what "
            "is not equal then is compared by the 95 % interval of the difference over the same images.",
        ),
    ] = False,
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = "",
    acceleration: AccelerationOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Rebuild cells from their records, run them again from the stored weights, and compare logits and norms.

    Nothing is written to the store. Exit status 0: all equal, bit by bit or within float32 rounding (1e-4);
    1: some are different; 3: none is different, but some cannot be run here.
    """
    from ..engine.running.progress import Silent, Terminal
    from ..engine.verification import draw_cells, verify_cells

    opened = opened_store(store)
    seed = secrets.randbelow(10**6) if seed is None else seed
    cells = draw_cells(opened, sample, seed)
    if not cells:
        raise MedrobustError(f"{store} holds no results to verify; 'medrobust run GRID --store {store}' computes some")
    with tempfile.TemporaryDirectory(prefix="medrobust-verify-") as folder:
        session = open_session(
            Path(folder) / "store",
            plugin=plugin,
            data_root=data_root,
            workers=workers,
            device=device,
            acceleration=acceleration,
        )
        watcher = Silent() if as_json else Terminal(console)
        found = verify_cells(opened, cells, session, refit=refit, watcher=watcher)
    outcomes = Counter(str(each.outcome) for each in found)
    if as_json:
        facts = {"store": str(opened.path), "seed": seed, "refit": refit, "outcomes": outcomes}
        typer.echo(json.dumps({**facts, "cells": [dataclasses.asdict(each) for each in found]}, indent=1))
    else:
        _print(found)
        counted = ", ".join(f"{outcomes[name]} {words}" for name, (words, _) in WORDS.items() if outcomes[name])
        say(f"{len(found)} cells, drawn with --seed {seed}{' and trained anew' if refit else ''}: {counted}.")
        _print_elsewhere(found)
        _print_next(found, store, plugin, data_root)
    if outcomes["different"] or outcomes["not run"]:
        raise typer.Exit(DIFFERENT if outcomes["different"] else NOT_RUN)


def _print(found: Sequence[Verification]) -> None:
    """All cells in a table; below it how those differ that are not equal bit by bit."""
    table = Table("cell", "result", "record")
    for each in found:
        words, style = WORDS[each.outcome]
        table.add_row(each.cell[:8], Text(each.what), Text(words, style))
    console.print(table)
    for each in found:
        text = "; ".join(filter(None, (each.detail, each.remark)))
        if text:
            console.print(
                Text.assemble(f"{each.cell[:8]}: ", (each.outcome, WORDS[each.outcome][1]), f": {text}"), soft_wrap=True
            )


def _print_elsewhere(found: Sequence[Verification]) -> None:
    """What to think of records of another machine, by their own words, where no decision differs."""
    elsewhere = [e for e in found if e.outcome == "different" and e.decisions == 0 and e.remark.startswith("made with")]
    if elsewhere:
        say(
            f"{len(elsewhere)} of the different records name another machine and differ in no decision. Attacks by "
            "signs of gradients do so where rounding is another; only a machine such as theirs can tell."
        )


def _print_next(found: Sequence[Verification], store: Path, plugin: list[Path] | None, data_root: Path | None) -> None:
    """What to do about the first record that was not confirmed, or the results themselves."""
    open_question = next((e for o in ("different", "not run") for e in found if e.outcome == o), None)
    if open_question is None:
        next_command("leaderboard", store, plugin=plugin, data_root=data_root)
    else:
        next_command("why", open_question.cell, store=store, plugin=plugin, data_root=data_root)
