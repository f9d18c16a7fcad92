"""`medrobust export`: universal perturbations as arrays and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import MedrobustError
from .printing import console


def export(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="Folder of a store.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write to.")] = Path("perturbations"),
) -> None:
    """Write the universal perturbations of a store as arrays (.npy) and as pictures (.png) with enhanced contrast."""
    from ..results.export import export_perturbations
    from ..results.store import Store

    opened = Store(store.absolute())
    if not opened.exists:
        raise MedrobustError(f"{store} is not a store; 'medrobust run GRID --store {store}' creates one")
    count = len(export_perturbations(opened, out))
    text = f"{count} perturbations, each as .npy (pixels in [0, 1]) and .png (enhanced contrast): {out}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)
