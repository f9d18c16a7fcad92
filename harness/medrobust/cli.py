"""The command line: registers the commands, and turns a user's mistakes into one line each."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer
from rich.text import Text

from .commands.adapters import adapters_commands
from .commands.calibrate import calibrate
from .commands.check import check
from .commands.cite import cite
from .commands.data import data_commands
from .commands.doctor import doctor
from .commands.env import env
from .commands.everywhere import add_options
from .commands.export import export
from .commands.extensions import add_commands
from .commands.merge import merge
from .commands.new import new
from .commands.plan import plan
from .commands.plugins import plugins
from .commands.printing import errors
from .commands.run import run
from .commands.stopping import Program, Stopped, notes_of, stoppable, tell_next, tell_stopped
from .commands.store import store_commands
from .commands.submissions import submit
from .commands.verify import verify
from .commands.version import program
from .commands.why import why
from .errors import MedrobustError
from .plugins.entry_points import strictly
from .plugins.tracebacks import show
from .results.refused import OF_PLACES, refused


def build() -> tuple[typer.Typer, list[str]]:
    """The command line with all commands, and what is wrong with those that could not be added."""
    app = typer.Typer(
        name="medrobust",
        cls=Program,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    app.callback()(program)
    for command in (run, plan, calibrate, plugins, new, check, why, verify, submit, merge, export, env, cite, doctor):
        app.command()(command)
    app.add_typer(data_commands(), name="data")
    app.add_typer(store_commands(), name="store")
    app.add_typer(adapters_commands(), name="adapters")
    return app, add_commands(app)


def main() -> None:
    """Entry point: a user's mistake ends with its message and status 1, wrong usage with status 2."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    app, faults = build()
    for fault in faults:
        errors.print(Text.assemble(("commands not loaded: ", "yellow"), fault), soft_wrap=True)
    command = typer.main.get_command(app)
    add_options(command)
    try:
        if faults and strictly():
            raise SystemExit(1)
        with stoppable():
            command(prog_name="medrobust", obj=faults)
    except MedrobustError as error:
        show(error)
        _print_error(str(error), notes_of(error))
        raise SystemExit(1) from None
    except Stopped as stopped:
        raise SystemExit(tell_stopped(stopped)) from None
    except BrokenPipeError:
        # The reader of a pipe has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except OSError as error:
        # Whatever a command writes: a report, an archive, its own output.
        if error.errno not in OF_PLACES:
            raise
        show(error)
        file = Path(error.filename) if isinstance(error.filename, str) else Path.cwd() / "what this command prints"
        _print_error(str(refused(file, error, "write elsewhere")), notes_of(error))
        raise SystemExit(1) from None


def _print_error(text: str, notes: list[str]) -> None:
    errors.print(Text.assemble(("error: ", "bold red"), text), soft_wrap=True)
    for note in notes:
        errors.print(Text(note), soft_wrap=True)
    if notes:
        tell_next()


if __name__ == "__main__":
    main()
