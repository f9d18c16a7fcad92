"""The commands `store ls`, `store check` and `store prune`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from ..errors import MedrobustError
from ..results.places import folder_or_url, shown_place
from .damage import advice_lines, damage_lines, loss_lines, print_damage
from .options import JsonOption
from .printing import console, counted

if TYPE_CHECKING:
    from ..results.prune import Removal
    from ..results.store import Store

StoreArgument = Annotated[Path, typer.Argument(metavar="STORE", parser=folder_or_url, help="Folder or URL of a store.")]


def store_commands() -> typer.Typer:
    """The group `medrobust store`."""
    about = "Show what a store contains, check that it is whole, and remove what is no longer needed."
    group = typer.Typer(help=about, no_args_is_help=True)
    group.command(name="ls")(list_store)
    group.command(name="check")(check_store)
    group.command(name="prune")(prune_store)
    return group


def list_store(store: StoreArgument, as_json: JsonOption = False) -> None:
    """Count the results in a store: current, superseded, failed and missing ones, and orphaned files."""
    from ..engine.superseded import reasons_in_words, superseded_reasons
    from ..results.inventory import STATES, Inventory, sizes
    from ..results.prune import prune

    opened = opened_store(store)
    inventory = Inventory.of(opened)
    counts = inventory.counts()
    totals = {state: len(inventory.having(state)) for state in STATES}
    orphans = {k: n for k, n in prune(opened, superseded=False, failed=False, dry_run=True).orphans.items() if n}
    used = sizes(opened)
    if as_json:
        rows = [
            {**dict(zip(counts.index.names, key, strict=True)), **{state: int(row[state]) for state in STATES}}
            for key, row in zip(counts.index, counts.to_dict("records"), strict=True)
        ]
        facts = {"store": str(opened.path), "cells": totals, "orphaned": orphans, "bytes": used, "results": rows}
        typer.echo(json.dumps(facts, indent=1))
        return
    table = Table("data set", "model", "attack", *STATES)
    for labels, row in zip(counts.index, counts.to_dict("records"), strict=True):
        numbers = (str(row[state]) if row[state] else "" for state in STATES)
        table.add_row(*(Text(str(label)) for label in labels), *numbers)
    console.print(table)
    cells = ", ".join(f"{count} {state}" for state, count in totals.items())
    say(f"{sum(totals.values())} cells: {cells}; {human_bytes(sum(used.values()))}.")
    for kind, told in (("detector", "Scored by detectors"), ("probe", "Measured by probes")):
        if found := _made_by(kind, opened):
            say(f"{told}: " + ", ".join(f"{name} ({counted(n, 'record')})" for name, n in found.items()) + ".")
    if totals["superseded"]:
        say(f"Superseded by: {reasons_in_words(superseded_reasons(opened, inventory.rows).values())}.")
    if orphans:
        say(f"Orphaned: {_counts(orphans)}, which no result refers to.")
    if print_damage(opened):
        return
    where = shown_place(opened.path)
    if totals["superseded"] or totals["failed"] or orphans:
        say(f"Next: medrobust store prune {where} --dry-run")
    elif totals["current"]:
        say(f"Next: medrobust leaderboard {where}")


def _made_by(kind: str, store: Store) -> Counter[str]:
    """For each detector, or each probe, how many records it looked at."""
    rows = store.rows("artifacts")
    return Counter(json.loads(text)[kind] for text in rows.loc[rows["kind"] == kind, "description"])


def check_store(store: StoreArgument, as_json: JsonOption = False) -> None:
    """Read every file of a store; set damaged ones aside, and say what is lost and how to compute it again."""
    from ..results.losses import check_files, losses

    opened = opened_store(store)
    checked = check_files(opened)
    found = losses(opened)
    if as_json:
        facts = {"store": str(opened.path), **asdict(checked), "damaged": list(map(asdict, opened.damaged))}
        typer.echo(json.dumps({**facts, "lost": asdict(found)}, indent=1))
    else:
        say(f"Read {counted(checked.files, 'file')}, {human_bytes(checked.bytes)}: {len(opened.damaged)} damaged.")
        for line in (*damage_lines(opened.damaged), *loss_lines(found)):
            say(line)
        if found.absent:
            say(f"{counted(found.absent, 'cell')} that a run asked for left no trace: not computed yet, or lost.")
        for line in advice_lines(found, opened):
            say(line)
        if found.whole:
            say("Nothing is known to be lost.")
    if opened.damaged or not found.whole:
        raise typer.Exit(1)


def prune_store(
    store: StoreArgument,
    superseded: Annotated[bool, typer.Option("--superseded", help="Remove superseded results.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Remove failed results.")] = False,
    orphaned: Annotated[bool, typer.Option("--orphaned", help="Remove files that no result refers to.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be removed.")] = False,
) -> None:
    """Remove superseded, failed and orphaned results (all three, unless some are chosen); current ones are kept."""
    from ..results.prune import prune

    opened = opened_store(store)
    every = not (superseded or failed or orphaned)
    removal = prune(
        opened,
        superseded=superseded or every,
        failed=failed or every,
        orphaned=orphaned or every,
        dry_run=dry_run,
    )
    _print(removal, dry_run=dry_run)
    if dry_run and not removal.nothing:
        given_options = {"--superseded": superseded, "--failed": failed, "--orphaned": orphaned}
        options = "".join(f" {name}" for name, given in given_options.items() if given)
        say(f"Next: medrobust store prune {shown_place(opened.path)}{options}")


def _print(removal: Removal, *, dry_run: bool) -> None:
    if removal.nothing:
        say(f"Nothing to remove; {counted(removal.kept, 'cell')} kept.")
        return
    parts = [counted(count, f"{kind} cell") for kind, count in removal.cells.items() if count]
    parts += [text for text in (_counts(removal.orphans),) if text]
    verb = "Would remove" if dry_run else "Removed"
    say(f"{verb} {', '.join(parts)}: about {human_bytes(removal.bytes)}. {counted(removal.kept, 'cell')} kept.")


WORDS = {
    "samples": "sample set",
    "evidence": "line of evidence",
    "fits": "set of weights",
    "artifacts": "perturbation or probe",
    "parts": "description of images",
    "tensors": "tensor file",
    "temporary files": "temporary file",
}


def _counts(orphans: Mapping[str, int]) -> str:
    return ", ".join(counted(count, WORDS[name]) for name, count in orphans.items() if count)


def opened_store(path: Path) -> Store:
    """The store at a path.

    Raises:
        MedrobustError: if there is none.
    """
    from ..results.store import Store

    opened = Store(path)
    if not opened.exists:
        raise MedrobustError(f"{path} is not a store; 'medrobust run GRID --store {path}' creates one")
    return opened


def human_bytes(count: int) -> str:
    """1.5 MB (powers of ten)."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"


def say(text: str) -> None:
    """A line as it is, not broken to the terminal's width."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
