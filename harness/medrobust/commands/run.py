"""`medrobust run`: compute what a grid asks for."""

from __future__ import annotations

import typer

from ..results.places import shown_place
from .damage import print_damage
from .next_command import next_command
from .options import (
    DEFAULT_STORE,
    AccelerationOption,
    AddressOption,
    DataRootOption,
    DeviceOption,
    EvidenceOption,
    ExecutorOption,
    GridArgument,
    ImagesOption,
    PluginOption,
    PrecisionOption,
    ProfileOption,
    StoreOption,
    WorkersOption,
)
from .printing import console, print_evidence, print_outcome
from .sessions import grid_file, open_session, print_notes, this_command


def run(
    grid: GridArgument,
    store: StoreOption = None,
    profile: ProfileOption = "",
    images: ImagesOption = None,
    precision: PrecisionOption = None,
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = "local",
    address: AddressOption = "",
    device: DeviceOption = "",
    evidence: EvidenceOption = True,
    acceleration: AccelerationOption = "auto",
) -> None:
    """Compute every cell of a grid that the store lacks; can be stopped and started again at any time."""
    from ..engine.running.progress import Terminal

    session = open_session(
        store or DEFAULT_STORE,
        plugin=plugin,
        data_root=data_root,
        workers=workers,
        device=device,
        acceleration=acceleration,
        executor=executor,
        address=address,
    )
    file = grid_file(grid, session)
    plan = session.plan(file, profile=profile, images=images, precision=precision or "", evidence=evidence)
    print_notes(session)
    outcome = session.run(plan, Terminal(console), command=this_command())
    if evidence:
        print_evidence(session.evidence(plan))
    print_outcome(outcome, session.store.path)
    lost = print_damage(session.store)
    if len(plan.cells) > len(outcome.problems):
        next_command("leaderboard", shown_place(session.store.path), plugin=plugin, data_root=data_root)
    if lost or not outcome.complete:
        raise typer.Exit(1)
