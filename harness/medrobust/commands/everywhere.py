"""Options of every command, also those of other distributions: `--debug`, and `--strict` where plugins are loaded."""

from __future__ import annotations

import os
from functools import cache
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..errors import MedrobustError
from ..plugins.entry_points import STRICT
from ..plugins.tracebacks import VARIABLE


def add_options(command: Any) -> None:
    """Give a command, or every command of a group, the option `--debug`; and `--strict` to those with `--plugin`."""
    if isinstance(command, TyperGroup):
        for each in command.commands.values():
            add_options(each)
        return
    loads_plugins = any(parameter.name == "plugin" for parameter in command.params)
    command.params += [option for option in _options() if option.name != "strict" or loads_plugins]


@cache
def _options() -> list[Any]:
    """The options as typer makes them for a command of its own: constructing one differs between typer's versions."""
    app = typer.Typer(add_completion=False)
    app.command()(_with_options)
    return [p for p in typer.main.get_command(app).params if p.name in ("debug", "strict")]


def _set_debug(wanted: bool) -> None:
    if wanted:
        os.environ[VARIABLE] = "1"


def _set_strict(context: typer.Context, wanted: bool) -> None:
    if not wanted:
        return
    os.environ[STRICT] = "1"
    if context.obj:  # what `cli.main` could not load, and has told
        raise MedrobustError("--strict: commands of another distribution were not loaded")


def _with_options(
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            is_eager=True,
            expose_value=False,
            callback=_set_strict,
            help="Stop at the first plugin that cannot be loaded.",
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            is_eager=True,
            expose_value=False,
            callback=_set_debug,
            help="Show the traceback of every error, including those of plugins.",
        ),
    ] = False,
) -> None:
    """Only its options are used."""
