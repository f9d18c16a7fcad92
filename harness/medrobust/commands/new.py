"""`medrobust new`: a complete distribution with one plugin, as a beginning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import MedrobustError, did_you_mean
from .printing import console


def new(
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND", help="attack, universal-attack, defense, detector, model, dataset or probe."),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the distribution and of the plugin: my-attack.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where to write (default: ./NAME).")] = None,
) -> None:
    """Write a distribution with one plugin, which installs, passes its own tests and runs as it is."""
    from ..scaffold.writing import KINDS, Scaffold

    if kind not in KINDS:
        raise MedrobustError(f"there is no kind '{kind}'{did_you_mean(kind, KINDS)}")
    scaffold = Scaffold(kind, name)
    folder = out or Path(name)
    for file in scaffold.write(folder):
        console.print(f"  {file}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"The plugin is in {folder / scaffold.module}.py.", markup=False, highlight=False, soft_wrap=True)
    console.print(f"Next: cd {folder} && pip install -e . && pytest", markup=False, highlight=False, soft_wrap=True)
