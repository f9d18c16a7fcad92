"""`medrobust why`: what a cell's identity consists of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ..errors import MedrobustError
from .options import (
    DEFAULT_STORE,
    DataRootOption,
    ImagesOption,
    PluginOption,
    PrecisionOption,
    ProfileOption,
    StoreOption,
)
from .printing import console
from .sessions import grid_file, open_session, print_notes

if TYPE_CHECKING:
    from ..engine.session import Session
    from ..grid.cells import Cell
    from ..results.store import Store


def why(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="Identity of a cell, or its beginning.")],
    grid: Annotated[
        Path | None,
        typer.Option("--grid", metavar="GRID", help="Compare with a cell of this grid or paper."),
    ] = None,
    store: StoreOption = None,
    profile: ProfileOption = "",
    images: ImagesOption = None,
    precision: PrecisionOption = None,
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
) -> None:
    """Show what a cell's identity consists of, and which field distinguishes it from the nearest one in the store."""
    session = open_session(store or DEFAULT_STORE, plugin=plugin, data_root=data_root)
    if _print_stored(cell, session.store):
        return
    if grid is None:
        raise MedrobustError(
            f"the store {session.store.path} has no cell '{cell}'; give --grid to compare it with a cell of a grid"
        )
    planned = _planned(cell, grid, session, profile=profile, images=images, precision=precision or "")
    print_notes(session)
    console.print(Text(f"{planned.id}: not in the store: {planned.describe()}"), soft_wrap=True)
    _print_nearest(planned.fields, session.store)


def _print_stored(cell: str, store: Store) -> bool:
    """Print the fields of the one stored cell whose identity begins so; whether there is one."""
    from ..grid.identity import flatten

    if not store.exists:
        return False
    stored = store.cells(["identity", "reason", "versions", "hardware", "precision"])
    found = [c for c in stored.index if c.startswith(cell)]
    if len(found) > 1:
        raise MedrobustError(
            f"'{cell}' is the beginning of {len(found)} cells; give more of it: {', '.join(found[:4])}"
        )
    for name in found:
        row = stored.loc[name]
        reason = f", {row['reason']}" if row["reason"] else ""
        console.print(Text(f"{name}: {row['status']}{reason}"), soft_wrap=True)
        console.print(Text(f"  computed by {_computed_by(row)}"), soft_wrap=True)
        for key, value in flatten(json.loads(row["identity"])):
            console.print(Text(f"  {key} = {json.dumps(value)}"), soft_wrap=True)
    return bool(found)


def _computed_by(row: Any) -> str:
    """Build, hardware and precision of a record."""
    versions = json.loads(row["versions"] or "{}")
    precision = f", crafted in {row['precision']}" if row["precision"] else ""
    return f"torch {versions.get('torch', 'unknown')} on {row['hardware'] or 'unknown hardware'}{precision}"


def _planned(cell: str, grid: Path, session: Session, **options: Any) -> Cell:
    """The one cell of a grid whose identity begins so."""
    found = [
        c
        for c in session.plan(grid_file(grid, session), **options, evidence=True).cells.values()
        if c.id.startswith(cell)
    ]
    if len(found) != 1:
        raise MedrobustError(
            f"{grid} has {len(found) or 'no'} cells that begin with '{cell}'; 'medrobust plan {grid}' lists them"
        )
    return found[0]


def _print_nearest(fields: dict[str, Any], store: Store) -> None:
    from ..grid.identity import difference

    frame = store.cells(["identity"])
    identities = dict(zip(frame["cell"], frame["identity"], strict=True))
    if not identities:
        console.print("The store is empty.")
        return
    compared = [(c, difference(json.loads(text), json.loads(json.dumps(fields)))) for c, text in identities.items()]
    nearest, differing = min(compared, key=lambda pair: len(pair[1]))
    console.print(f"The nearest cell in the store is {nearest}; it differs in", highlight=False)
    for name, old, new in differing:
        console.print(Text(f"  {name}: {json.dumps(old)} there, {json.dumps(new)} here"), soft_wrap=True)
