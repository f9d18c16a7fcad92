"""Commands that other distributions, and the leaderboard, add to the command line.

They have an entry-point group of their own, which is read at every start; plugins, which import torch, are not.
"""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint, entry_points

import typer

from ..plugins.tracebacks import own_line, show

GROUP = "medrobust.commands"


def add_commands(cli: typer.Typer) -> list[str]:
    """Let every entry point of the group add its commands; the errors of those that fail, one line each."""
    own_only = os.environ.get("MEDROBUST_DISABLE_PLUGINS", "") not in ("", "0")
    faults = []
    for point in sorted(entry_points(group=GROUP), key=_owner):
        name, version, _ = _owner(point)
        if own_only and name != "medrobust":
            continue
        try:
            point.load()(cli)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - other distributions' code may raise anything
            show(error)
            text = " ".join(f"{type(error).__name__}: {error}".split())
            faults.append(
                f"{name} {version}: commands of '{point.value}': {text} ({own_line(error)}). "
                "Report it to its authors, or uninstall it."
            )
    return faults


def _owner(point: EntryPoint) -> tuple[str, str, str]:
    return (point.dist.name, point.dist.version, point.name) if point.dist else ("unknown", "?", point.name)
