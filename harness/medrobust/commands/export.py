"""`medrobust export`: universal perturbations as arrays and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .printing import console
from .store import StoreArgument, opened_store


def export(
    store: StoreArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write to.")] = Path("perturbations"),
) -> None:
    """Write the universal perturbations of a store as arrays (.npy) and as pictures (.png) with enhanced contrast."""
    from ..results.export import export_perturbations

    count = len(export_perturbations(opened_store(store), out))
    text = f"{count} perturbations, each as .npy (pixels in [0, 1]) and .png (enhanced contrast): {out}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)
