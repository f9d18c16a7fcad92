"""`medrobust merge`: several stores, and submissions, as one store."""

from __future__ import annotations

import contextlib
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from ..errors import MedrobustError
from ..results.places import folder_or_url, shown_place
from .damage import damage_lines
from .next_command import next_command
from .options import JsonOption
from .printing import console, counted
from .store import opened_store, say

if TYPE_CHECKING:
    from ..results.merging import Added
    from ..results.store import Store

SHOWN = 5
WORDS = {
    "other weights": "rest on other weights or perturbations than those of an earlier store: the same models, trained "
    "on other hardware. Run their grid on the new store to compute them with the weights that are there",
    "other images": "are of other images or labels, though their data set is called alike. Find out which files differ "
    "(medrobust data check)",
    "lost": "lost their record. Run their grid again on their own store",
}
"""What is said of cells that were left out."""


def merge(
    stores: Annotated[
        list[Path],
        typer.Argument(
            metavar="STORE|FILE.zip...", parser=folder_or_url, help="Folders or URLs of stores, and submissions."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="STORE", parser=folder_or_url, help="Folder or URL of the store to make or to add to."
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Unite stores and submissions: of a cell that several have, the first one is taken.

    The stores stay as they are. A submission is not verified by this: medrobust verify FILE.zip does that first. Exit
    status 1 if two stores have different results of one cell.
    """
    from ..results.inventory import Inventory
    from ..results.merging import merge as merge_stores
    from ..results.store import Store
    from ..results.submission import open_submission

    with contextlib.ExitStack() as folders:
        opened: list[tuple[str, Store]] = []
        for path in stores:
            if path.absolute() == out.absolute():
                continue
            if path.is_file():
                folder = folders.enter_context(tempfile.TemporaryDirectory(prefix="medrobust-merge-"))
                opened.append((path.stem, open_submission(path, Path(folder) / "submission").store))
            else:
                opened.append((path.absolute().name, opened_store(path)))
        if not opened:
            raise MedrobustError(f"nothing to put into {out}: name other stores or submissions")
        target = Store(out)
        before = [Inventory.of(store).having("superseded") for store in (target, *(store for _, store in opened))]
        added = merge_stores(opened, target)
    superseded = Inventory.of(target).having("superseded") - set().union(*before)
    if as_json:
        facts = [asdict(each) | {"named": sorted(each.named)} for each in added]
        typer.echo(json.dumps({"store": str(target.path), "added": facts, "superseded": sorted(superseded)}, indent=1))
    else:
        _print(added)
        _print_superseded(target, superseded)
        next_command("leaderboard", shown_place(target.path))
    if any(each.conflicts for each in added):
        raise typer.Exit(1)


def _print(added: list[Added]) -> None:
    table = Table("store", "cells", "new", "there already", "left out", "contradict")
    for each in added:
        left_out = sum(each.left_out.values())
        numbers = (each.cells, each.new, each.same, left_out, len(each.conflicts))
        table.add_row(Text(each.name), *(str(number) if number else "" for number in numbers))
    console.print(table)
    for each in added:
        for line in damage_lines(each.damaged):
            say(f"{each.name}: {line}")
        for why, count in each.left_out.items():
            say(f"{each.name}: {counted(count, 'cell')} left out: they {WORDS[why]}.")
        for cell, detail in list(each.conflicts.items())[:SHOWN]:
            say(f"{each.name}: {cell[:8]} contradicts an earlier store, whose result stays: {detail}")
        if len(each.conflicts) > SHOWN:
            say(f"{each.name}: {len(each.conflicts) - SHOWN} more cells contradict an earlier store.")
        if each.conflicts:
            say("Which of them is right: medrobust verify, on each store.")
        if each.named:
            say(f"{each.name}: its hashed ids stand for the images of an earlier store, by their order.")
        for grid in each.grids:
            say(
                f"{each.name}: its grid '{grid}' is now '{each.name}/{grid}', as an earlier store has one of that name."
            )


def _print_superseded(store: Store, superseded: set[str]) -> None:
    """Which results are not current any more, though they were in the store that they come from."""
    if not superseded:
        return
    from ..engine.superseded import reasons_in_words, superseded_reasons
    from ..results.inventory import Inventory

    rows = Inventory.of(store).rows
    reasons = superseded_reasons(store, rows[rows["cell"].isin(superseded) | rows["current"]])
    say(
        f"{counted(len(superseded), 'cell')} superseded by what another of these stores asked for later: "
        f"{reasons_in_words(reasons.values())}. If both are meant, give plugin files or grids different names."
    )
