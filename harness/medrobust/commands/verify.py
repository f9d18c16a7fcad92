"""`medrobust verify`: whether the records of a store, or of a submission, can be reproduced."""

from __future__ import annotations

import secrets
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import MedrobustError
from ..results.places import folder_or_url
from .next_command import next_command
from .options import AccelerationOption, DataRootOption, DeviceOption, JsonOption, PluginOption, WorkersOption
from .printing import counted
from .sessions import open_session
from .store import opened_store, say
from .submissions import verify_file
from .verified import Draw, in_words, print_cells, print_json

if TYPE_CHECKING:
    from ..engine.verification import Verification

SAMPLE = 5
"""Cells that are drawn where no number is given."""
DIFFERENT, NOT_RUN = 1, 3
"""Exit statuses: of a store with a record that differs, and of one of which only some could not be run."""


def verify(
    store: Annotated[
        Path,
        typer.Argument(
            metavar="STORE|FILE.zip", parser=folder_or_url, help="Folder or URL of a store, or a submission."
        ),
    ],
    sample: Annotated[int, typer.Option("--sample", metavar="N", min=1, help="Number of cells to draw.")] = SAMPLE,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="S", min=0, help="Repeat a draw (default: other cells each time)."),
    ] = None,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit",
            help="Train models, defenses and universal perturbations again instead of taking those of the store; what "
            "is not equal then is compared by the 95 % interval of the difference over the same images.",
        ),
    ] = False,
    trust_code: Annotated[
        bool,
        typer.Option(
            "--trust-code",
            help="Run the plugins in a submission. They are a stranger's programs, with all that you may do on this "
            "machine: read them first, and run them in a container.",
        ),
    ] = False,
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = "",
    acceleration: AccelerationOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Rebuild cells from their records, run them again from the stored weights, and compare logits and norms.

    Nothing is written to the store. Of a submission every cell is also held against itself, and code of third parties
    in it is run with --trust-code only. Exit status 0: all equal, bit by bit or within float32 rounding (1e-4); 1: some
    are different; 3: none is different, but some cannot be run here.
    """
    seed = secrets.randbelow(10**6) if seed is None else seed
    draw = Draw(sample, seed, refit, as_json)
    options: dict[str, Any] = {"data_root": data_root, "workers": workers, "device": device}
    options["acceleration"] = acceleration
    if store.is_file():
        outcomes = verify_file(store, draw, trust_code=trust_code, plugin=plugin or (), **options)
    elif trust_code:
        raise MedrobustError(
            f"--trust-code is for submissions (FILE.zip); plugins of {store} are given by --plugin FILE"
        )
    else:
        outcomes = _verify_store(store, draw, plugin=plugin, **options)
    if outcomes["different"] or outcomes["not run"]:
        raise typer.Exit(DIFFERENT if outcomes["different"] else NOT_RUN)


def _verify_store(store: Path, draw: Draw, *, plugin: list[Path] | None, **options: Any) -> Counter[str]:
    """Verify cells of a store, print what was found, and count it."""
    from ..engine.verification import draw_cells, verify_cells

    opened = opened_store(store)
    cells = draw_cells(opened, draw.sample, draw.seed)
    if not cells:
        raise MedrobustError(f"{store} holds no results to verify; 'medrobust run GRID --store {store}' computes some")
    with tempfile.TemporaryDirectory(prefix="medrobust-verify-") as folder:
        session = open_session(Path(folder) / "store", plugin=plugin, **options)
        found = verify_cells(opened, cells, session, refit=draw.refit, watcher=draw.watcher())
    outcomes = Counter(str(each.outcome) for each in found)
    if draw.as_json:
        print_json({"store": str(opened.path)}, draw, outcomes, found)
    else:
        print_cells(found)
        say(f"{counted(len(found), 'cell')}, drawn with {draw}: {in_words(outcomes)}.")
        _print_elsewhere(found)
        _print_next(found, store, plugin, options["data_root"])
    return outcomes


def _print_elsewhere(found: Sequence[Verification]) -> None:
    """What to think of records of another machine, by their own words, where no decision differs."""
    elsewhere = [e for e in found if e.outcome == "different" and e.decisions == 0 and e.remark.startswith("made with")]
    if elsewhere:
        say(
            f"{len(elsewhere)} of the different records name another machine and differ in no decision. Attacks by "
            "signs of gradients do so where rounding is another; only a machine such as theirs can tell."
        )


def _print_next(found: Sequence[Verification], store: Path, plugin: list[Path] | None, data_root: Path | None) -> None:
    """What to do about the first record that was not confirmed, or the results themselves."""
    open_question = next((e for o in ("different", "not run") for e in found if e.outcome == o), None)
    if open_question is None:
        next_command("leaderboard", store, plugin=plugin, data_root=data_root)
    else:
        next_command("why", open_question.cell, store=store, plugin=plugin, data_root=data_root)
