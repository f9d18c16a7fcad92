"""What `verify` says of the cells that it ran again, those of a store and those of a submission."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from .printing import console

if TYPE_CHECKING:
    from ..engine.running.progress import Watcher
    from ..engine.verification import Verification

WORDS = {
    "equal": ("equal", "green"),
    "rounding": ("equal within float32 rounding", "green"),
    "interval": ("within the interval", "green"),
    "different": ("different", "red"),
    "not run": ("cannot be run here", "yellow"),
}


@dataclass(frozen=True)
class Draw:
    """Which cells are verified, and how.

    Attributes:
        sample: how many are drawn.
        seed: with what.
        refit: whether weights are made anew.
        as_json: whether a program reads what is printed.
    """

    sample: int
    seed: int
    refit: bool
    as_json: bool

    def __str__(self) -> str:
        return f"--seed {self.seed}{' and trained anew' if self.refit else ''}"

    def watcher(self) -> Watcher:
        """What shows progress."""
        from ..engine.running.progress import Silent, Terminal

        return Silent() if self.as_json else Terminal(console)


def in_words(outcomes: Mapping[str, int]) -> str:
    """How many cells have which outcome."""
    return ", ".join(f"{outcomes[name]} {words}" for name, (words, _) in WORDS.items() if outcomes.get(name))


def print_json(facts: Mapping[str, Any], draw: Draw, outcomes: Counter[str], found: Sequence[Verification]) -> None:
    """Everything that was found, for programs."""
    told = {**facts, "seed": draw.seed, "refit": draw.refit, "outcomes": outcomes}
    typer.echo(json.dumps({**told, "cells": [dataclasses.asdict(each) for each in found]}, indent=1))


def print_cells(found: Sequence[Verification]) -> None:
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
