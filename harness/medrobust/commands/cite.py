"""`medrobust cite`: what to cite for the records of a store, and the terms of its data."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ..errors import MedrobustError
from .options import PluginOption
from .printing import harmless
from .sessions import open_registry
from .store import StoreArgument, opened_store


def cite(
    store: StoreArgument,
    output: Annotated[Literal["text", "bibtex"], typer.Option("--format", help="How to print it.")] = "text",
    plugin: PluginOption = None,
) -> None:
    """Print what to cite for a store: data sets with their terms, models, attacks, defenses, papers and software."""
    from ..plugins.bibtex import entries
    from ..plugins.citations import Used

    opened = opened_store(store)
    identities = opened.cells(["identity"])["identity"].dropna()
    if not len(identities):
        raise MedrobustError(f"{store} has no cells yet; 'medrobust run GRID --store {store}' computes some")
    used = Used.of(identities, opened.requests()["grid"].unique(), open_registry(plugin))
    typer.echo(harmless(entries(used.references()) if output == "bibtex" else "\n".join(used.lines())))
