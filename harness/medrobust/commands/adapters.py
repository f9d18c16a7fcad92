"""`medrobust adapters check`: which attacks of other libraries run here, and what they are worth."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.text import Text

from ..errors import MedrobustError, did_you_mean
from .options import PluginOption
from .printing import console, counted
from .sessions import print_faults

if TYPE_CHECKING:
    from ..engine.adapters.checking import Checked
    from ..plugins.providers import Library

DATA: Final[dict[str, Any]] = {"name": "phantom-natural", "size": 32, "train": 600, "val": 40, "test": 120}
MODEL: Final[dict[str, Any]] = {"name": "small-cnn", "recipe": {"epochs": 20, "learning_rate": 0.003}}


def adapters_commands() -> typer.Typer:
    """The group of commands about what providers offer."""
    app = typer.Typer(name="adapters", help="Attacks of other libraries.", no_args_is_help=True)
    app.command()(check)
    app.callback()(_group)
    return app


def _group() -> None:
    """Attacks of other libraries."""


def check(
    provider: Annotated[
        list[str] | None, typer.Option("--provider", help="Only this library; can be repeated (default: all).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the table there, as Markdown.")
    ] = None,
    only: Annotated[str, typer.Option("--only", metavar="TEXT", help="Only attacks whose name contains this.")] = "",
    images: Annotated[int, typer.Option("--images", min=2, help="Number of images.")] = 12,
    limit: Annotated[
        float, typer.Option("--limit", min=1, help="Seconds of processor time that each attack has.")
    ] = 4.0,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Number of processes that share the work.")] = 1,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="FILE", help="Keep results there as they come; try only what is not in it."),
    ] = None,
    plugin: PluginOption = None,
) -> None:
    """Run every attack of the libraries on one small model, and say of each whether it runs, what it breaks, what it
    costs, and whether what it says of itself is true."""
    import torch

    from ..engine.adapters import kept
    from ..engine.adapters.checking import check as check_all
    from ..engine.adapters.reference import Reference
    from ..engine.adapters.trial import require_forks
    from ..engine.session import Session
    from .adapters_table import table

    require_forks()
    torch.set_num_threads(1)  # attacks run in forked processes, which threads of this one would hold up
    with tempfile.TemporaryDirectory(prefix="medrobust-adapters-") as folder:
        session = Session(Path(folder), tuple(plugin or ()), device="cpu", workers=1)
        print_faults(session.registry)
        libraries = _wanted(session.registry.libraries(), provider)
        console.print("training the reference model", highlight=False)
        grid = {"grid": [{"dataset": DATA, "model": MODEL, "attack": "none"}]}
        reference = Reference.of(session, grid, images)
        console.print(Text(f"{reference.label}: {reference.clean:.0%} of the images correct"))
        known = kept.read(resume) if resume else {}

        tried = len(known)

        def tell(done: int, total: int, left: float, checked: Checked) -> None:
            nonlocal tried
            tried += 1
            if resume:
                kept.add(resume, checked)
            _tell(done, total, left, checked)

        try:
            found = check_all(libraries, session.registry, reference, limit, tell, only, jobs, known)
        except KeyboardInterrupt as stop:
            there = f"kept in {resume}" if resume else "not kept: that takes --resume FILE"
            stop.add_note(f"what came of {counted(tried, 'attack')} is {there}")
            raise
    written = table(found, libraries, reference, limit)
    if out is None:
        console.print(Text(written), soft_wrap=True)
    else:
        out.write_text(written, encoding="utf-8")
        console.print(Text(f"written to {out}"))


def _wanted(libraries: list[Library], names: list[str] | None) -> list[Library]:
    """The libraries with attacks that are named and installed.

    Raises:
        MedrobustError: if one that is named is not there.
    """
    attacks = {each.prefix: each for each in libraries if each.kind == "attack"}
    for name in names or ():
        if name not in attacks:
            raise MedrobustError(f"no provider of attacks is called '{name}'{did_you_mean(name, attacks)}")
        if attacks[name].version is None:
            raise MedrobustError(f"{attacks[name].provider.library} is not installed: {attacks[name].install}")
    return [each for name, each in attacks.items() if (name in names if names else each.version is not None)]


def _tell(done: int, total: int, left: float, checked: Checked) -> None:
    outcome = checked.outcome
    said = f"{outcome.accuracy:.0%} left" if outcome.accuracy is not None else outcome.reason
    took = "" if outcome.seconds is None else f", {outcome.seconds:.1f} s"
    rest = f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
    console.print(Text(f"{done}/{total}  {checked.name}: {outcome.status}: {said}{took}; about {rest} to go"))
