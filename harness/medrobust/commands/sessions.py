"""Opening a session from the options of a command."""

from __future__ import annotations

import itertools
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from ..errors import MedrobustError, did_you_mean
from .printing import errors

if TYPE_CHECKING:
    from ..engine.running.executors import Workers
    from ..engine.session import Session
    from ..plugins.registry import Registry


def open_registry(plugin: Sequence[Path] | None = None) -> Registry:
    """All plugins on offer; those that cannot be loaded are named on standard error, one line each."""
    from ..plugins.registry import Registry

    registry = Registry.discover(plugin or ())
    print_faults(registry)
    return registry


def print_faults(registry: Registry) -> None:
    """A line on standard error for each plugin that cannot be loaded, or not be called by its own name."""
    for fault in registry.faults:
        errors.print(Text.assemble((f"{fault.heading}: ", "yellow"), str(fault)), soft_wrap=True)


def open_session(
    store: Path,
    *,
    plugin: Sequence[Path] | None = None,
    data_root: Path | None = None,
    workers: int | None = None,
    device: str = "",
    acceleration: str = "auto",
    tell: bool = True,
    executor: str = "local",
    address: str = "",
    confined: bool = False,
) -> Session:
    """A session from command-line options; plugins that cannot be loaded are named on standard error, one line each.

    A command that opens several sessions tells it (`tell`) for one of them.

    Raises:
        MedrobustError: for a value that cannot be, or options that do not go together.
    """
    from ..engine.acceleration import Acceleration
    from ..engine.session import Session

    session = Session(
        store,
        tuple(plugin or ()),
        data_root=data_root,
        workers=workers,
        # Workers elsewhere have devices of their own, which this machine may lack.
        device="" if address else device,
        acceleration=Acceleration.parse(acceleration),
        confined=confined,
    )
    session.executor = _executor(executor, address, workers, device or ("" if address else session.device))
    if tell:
        print_faults(session.registry)
    return session


def _executor(name: str, address: str, workers: int | None, device: str) -> Workers | None:
    """Where steps run, if not in processes of this program."""
    if name == "local":
        if address:
            raise MedrobustError(f"--address {address}: is for --executor dask; give both, or neither")
        return None
    from ..engine.running.cluster import Dask, is_open
    from ..engine.running.parcels import ANY_DEVICE

    def say(line: str) -> None:
        errors.print(Text.assemble(("note: ", "yellow"), line), soft_wrap=True)

    if not address:
        return Dask("", workers or (1 if device.startswith("cuda") else None), device, say)
    if workers is not None:
        raise MedrobustError("--workers: the cluster at --address has its own; leave it out")
    if is_open(address):
        say(f"{address} is not encrypted: whoever reaches it runs programs on its workers; docs/cluster.md shows TLS")
    return Dask(address, None, device or ANY_DEVICE, say)


def grid_file(grid: Path, session: Session) -> Path:
    """The file that a command's GRID names: a path, or the grid of a paper by the paper's name.

    Raises:
        MedrobustError: with the nearest name of a paper, if it is neither.
    """
    papers = session.registry.papers()
    if str(grid) in papers and not grid.is_file():
        return papers[str(grid)] / "grid.toml"
    if grid.exists() or grid.suffix or len(grid.parts) > 1:
        return grid
    raise MedrobustError(f"no file and no paper is called '{grid}'{did_you_mean(str(grid), papers)}")


def this_command() -> str:
    """The command as it was typed, without `--store`: a store may be moved."""
    words = ["medrobust", *sys.argv[1:]]
    kept = [
        w for before, w in itertools.pairwise(["", *words]) if before != "--store" and w.partition("=")[0] != "--store"
    ]
    return shlex.join(kept)


def print_notes(session: Session) -> None:
    """What the grids planned so far mean where that may be a surprise, one line each on standard error."""
    for line in session.notes():
        errors.print(Text.assemble(("note: ", "yellow"), line), soft_wrap=True)
