"""Commands that other distributions, and the leaderboard, add to the command line.

They have an entry-point group of their own, which is read at every start; plugins, which import torch, are not.
"""

from __future__ import annotations

import typer

from ..plugins.entry_points import doors
from ..plugins.tracebacks import own_line, show

GROUP = "medrobust.commands"


def add_commands(cli: typer.Typer) -> list[str]:
    """Let every entry point of the group add its commands; the errors of those that fail, one line each."""
    faults = []
    for door in doors(GROUP):
        try:
            door.point.load()(cli)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - other distributions' code may raise anything
            show(error)
            text = " ".join(f"{type(error).__name__}: {error}".split())
            faults.append(
                f"{door.distribution} {door.version}: commands of '{door.point.value}': {text} ({own_line(error)}). "
                "Report it to its authors, or uninstall it."
            )
    return faults
