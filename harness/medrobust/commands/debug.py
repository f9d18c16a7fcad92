"""`--debug`, an option of every command, those of other distributions included."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..plugins.tracebacks import VARIABLE


def add_debug(command: Any) -> None:
    """Give a command, or every command of a group, the option `--debug`."""
    if isinstance(command, TyperGroup):
        for each in command.commands.values():
            add_debug(each)
    else:
        command.params.append(_option())


def _option() -> Any:
    """The option as typer makes it for a command of its own: constructing one differs between typer's versions."""
    app = typer.Typer(add_completion=False)
    app.command()(_with_debug)
    (option,) = (p for p in typer.main.get_command(app).params if p.name == "debug")
    return option


def _set(wanted: bool) -> None:
    if wanted:
        os.environ[VARIABLE] = "1"


def _with_debug(
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            is_eager=True,
            expose_value=False,
            callback=_set,
            help="Show the traceback of every error, including those of plugins.",
        ),
    ] = False,
) -> None:
    """Only its option is used."""
