"""Saying what a store has lost, what that costs, and which command makes it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from ..results.places import shown_place
from .printing import counted, errors

if TYPE_CHECKING:
    from ..results.files import Damaged
    from ..results.losses import Losses, LostCells
    from ..results.store import Store

SHOWN = 8
"""Lines of one kind that are printed."""


def print_damage(store: Store) -> bool:
    """Print, on standard error, which files this process found damaged and what the store has lost; whether it has.

    A store that has cells, of which none is lost, and no file known to be damaged is looked at no further.
    """
    from ..results.losses import losses

    if not store.exists:
        return False
    status = store.cells([])["status"]
    if not (store.damaged or status.empty or (status == "missing").any()):
        return False
    found = losses(store)
    for line in damage_lines(store.damaged):
        errors.print(Text(line, style="red"), soft_wrap=True)
    for line in loss_lines(found):
        errors.print(Text(line), soft_wrap=True)
    for line in advice_lines(found, store):
        errors.print(Text(line), soft_wrap=True)
    return not found.whole


def damage_lines(damaged: Sequence[Damaged]) -> Iterator[str]:
    """Each damaged file, what is wrong with it, and where it is now."""
    for each in damaged[:SHOWN]:
        where = f"; set aside as {each.kept}" if each.kept else ""
        yield f"damaged: {each.name}: {each.why}{where}"
    if len(damaged) > SHOWN:
        yield f"damaged: {len(damaged) - SHOWN} more files"


def loss_lines(found: Losses) -> Iterator[str]:
    """What is lost, and what it costs to make it again."""
    for cells in found.cells[:SHOWN]:
        what = f"{counted(cells.count, 'cell')} of {cells.attack} on {cells.dataset}"
        yield f"lost: {what} must be computed again{_time([cells])}"
    if len(found.cells) > SHOWN:
        yield f"lost: {_count(found.cells[SHOWN:])} of {counted(len(found.cells) - SHOWN, 'more attack')}"
    if len(found.cells) > 1:
        yield f"lost in all: {_count(found.cells)}{_time(found.cells)}"
    for model in found.weights[:SHOWN]:
        yield f"lost: weights of {model}, which must be trained again"
    if len(found.weights) > SHOWN:
        yield f"lost: weights of {counted(len(found.weights) - SHOWN, 'more model')}"
    for count, noun, cost in (
        (found.perturbations, "universal perturbation", "must be fitted again"),
        (found.probes, "probe", "must be measured again"),
        (found.parts, "description of images", "takes seconds to make again"),
        (found.evidence, "model without its evidence", "a run collects it from the records, unless told --no-evidence"),
        (found.unnamed, "cell that no run asked for", "a run of its grid restores its labels"),
    ):
        if count:
            yield f"lost: {counted(count, noun)} ({cost})"


def _count(cells: Sequence[LostCells]) -> str:
    return counted(sum(each.count for each in cells), "cell")


def _time(cells: Sequence[LostCells]) -> str:
    """How long they took, if that is known of all."""
    from ..engine.running.progress import human_time

    known = [each.seconds for each in cells if each.seconds is not None]
    return f", about {human_time(sum(known))}" if len(known) == len(cells) else ""


def advice_lines(found: Losses, store: Store) -> Iterator[str]:
    """The commands that make again what is lost: those that asked for it, as far as the store knows them."""
    if found.whole:
        return
    commands = [text for text in found.asked_by if text.startswith("medrobust ")]
    grids = [text for text in found.asked_by if text not in commands]
    where = shlex.quote(shown_place(store.path))
    for command in commands:
        yield f"Next: {command} --store {where}"
    if grids or not commands:
        which = f" (grids: {', '.join(_grid(name) for name in grids)})" if grids else ""
        yield f"Next: medrobust run GRID --store {where}{which}"


def _grid(name: str) -> str:
    grid, _, profile = name.partition(":")
    return f"{grid}, profile {profile}" if profile else grid
