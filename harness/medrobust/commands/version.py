"""`medrobust --version`."""

from __future__ import annotations

from typing import Annotated

import typer


def _show(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        # For programs as much as for people: no colours, no wrapping.
        print(f"medrobust {__version__}")
        raise typer.Exit


def program(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show, help="Print the version and exit.")
    ] = False,
) -> None:
    """Benchmark the adversarial robustness of medical image classifiers."""
