"""`medrobust site`: a static site of what stores hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from medrobust import MedrobustError
from medrobust.commands import DataRootOption, PluginOption, console, folder_or_url, open_session, print_damage


def site(
    stores: Annotated[
        list[Path], typer.Argument(metavar="STORE...", parser=folder_or_url, help="Folders or URLs of stores.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder of the site.")] = Path("medrobust-site"),
    title: Annotated[
        str, typer.Option("--title", metavar="TEXT", help="What the site is called.")
    ] = "medrobust results",
    paper: Annotated[
        list[str] | None,
        typer.Option("--paper", metavar="FOLDER", help="Also show the tables of this folder; can be repeated."),
    ] = None,
    with_images: Annotated[
        bool, typer.Option("--with-images", help="Show example images of data sets whose terms permit it.")
    ] = False,
    with_ids: Annotated[
        bool, typer.Option("--with-ids", help="Show the ids of samples and patients as they are, not hashed.")
    ] = False,
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
) -> None:
    """Write a site of the results in stores: rankings, papers, models, cells and plugins. It opens without a server."""
    import time

    from .build import write_site

    begun = time.perf_counter()
    sessions = [
        open_session(store, plugin=plugin, data_root=data_root, workers=1, tell=not number)
        for number, store in enumerate(stores)
    ]
    for session, store in zip(sessions, stores, strict=True):
        if not session.store.exists:
            raise MedrobustError(f"{store} is not a store; 'medrobust run GRID --store {store}' creates one")
    written = write_site(sessions, out, title=title, papers=paper or (), with_images=with_images, with_ids=with_ids)
    for session in sessions:
        print_damage(session.store)
    lines = [
        f"{written.cells:,} cells on {written.files:,} pages and files, {written.bytes / 1e6:.1f} MB, in "
        f"{time.perf_counter() - begun:.0f} s.",
        *(f"Not shown: {problem}" for problem in written.problems),
        *(f"{count} cells: {reason}" for reason, count in written.withheld.items()),
        f"Site: {os.path.relpath(written.index)}",
        "Next: open it in a browser, or put the folder on any web server.",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
