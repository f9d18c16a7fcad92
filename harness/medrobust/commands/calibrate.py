"""`medrobust calibrate`: how fast the architectures of a grid are on this machine."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from ..errors import MedrobustError
from .next_command import next_command
from .options import DEFAULT_STORE, DataRootOption, DeviceOption, GridArgument, PluginOption, ProfileOption
from .printing import console, errors
from .sessions import grid_file, open_session
from .store import say


def calibrate(
    grid: GridArgument,
    profile: ProfileOption = "",
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", min=0.01, help="Seconds for each kind of pass.")
    ] = 2.0,
    again: Annotated[bool, typer.Option("--again", help="Measure again what was measured on this device.")] = False,
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
    device: DeviceOption = "",
) -> None:
    """Measure how many images a second each architecture of a grid takes, for the hours that `medrobust plan` shows."""
    from ..engine.calibration import architectures_of, measure
    from ..engine.context import hardware
    from ..engine.throughput import FILE, Throughputs
    from ..grid.reader import read_grid

    session = open_session(DEFAULT_STORE, plugin=plugin, data_root=data_root, device=device)
    throughputs, name = Throughputs(session.context.cache / FILE), hardware(session.device)
    table = Table("architecture", "forward", "with gradient", "training", title=f"Images per second on {name}")
    failed = 0
    blocks = read_grid(grid_file(grid, session), session.registry, profile=profile)
    for architecture in architectures_of(blocks, session.metadata):
        found = None if again else throughputs.find(architecture, name)
        if found is None:
            try:
                with console.status(f"measuring {architecture.describe()}"):
                    found = measure(architecture, session.context, seconds)
            except MedrobustError as error:
                failed += 1
                errors.print(Text.assemble((architecture.describe(), "red"), f": {error}"), soft_wrap=True)
                continue
            throughputs.add(architecture, name, found)
        rates = (found.forward, found.gradient, found.training)
        table.add_row(Text(architecture.describe()), *(f"{rate:.3g}" for rate in rates))
    console.print(table)
    say(f"Kept in {throughputs.file}. One process, batches as in a run, random weights.")
    next_command("plan", grid, profile=profile, plugin=plugin, data_root=data_root)
    if failed:
        raise typer.Exit(1)
