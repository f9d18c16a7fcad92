"""Detecting: features of clean and adversarial images, taken once, on which detectors are fitted and scored."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

from ...contracts import AnyAttack, State
from ...grid.cells import Cell
from ...grid.plan import Done
from ...results.store import StepRecord, Store
from ..context import RunContext, peak_memory
from ..crafting.roots import root_of
from ..detecting.judging import Detecting, crafted_for, knows_detector
from ..detecting.learning import tensors_of
from ..models.loading import write_part
from ..models.training import Progress
from ..sizes import Sizes
from .base import History, Outcome, Step
from .rows import cell_row, made_from_of
from .work import Work, attack_work, verdict_work


@dataclass(frozen=True, eq=False, kw_only=True)
class DetectStep(Step):
    """Make the cells with a detector of one model on one part: every attack is crafted once, whoever learns from it.

    Attributes:
        makes: cells that agree in target, source, part, goal, budget and precision.
    """

    kind: ClassVar[str] = "detect"
    makes: tuple[Cell, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        return self.makes

    @property
    def threads(self) -> int:
        return self.makes[0].target.threads

    def roots(self) -> dict[str, AnyAttack]:
        """The attack of each run; those that know a detector are run for each of theirs."""
        found = {key: root_of(cells) for key, cells in crafted_for(self.makes).items()}
        found |= {cell.id: cell.root for cell in self.makes if knows_detector(cell)}
        return {key: root for key, root in found.items() if root is not None}

    def work(self, sizes: Sizes) -> list[Work] | None:
        first = self.makes[0]
        size = sizes.of(first.part)
        if size is None:
            return None
        roots = self.roots()
        attacks = [attack_work(first.source or first.target, root, size.images) for root in roots.values()]
        return [*attacks, *verdict_work((first,) * (len(roots) + 1), size.images, 1)]

    def seconds(self, history: History) -> float | None:
        axes = [cell.axes() for cell in self.makes]
        found = [history.cells.get((a["dataset"], a["model"], a["attack"])) for a in axes]
        return None if None in found else sum(s for s in found if s is not None)

    def remaining(self, done: Done) -> DetectStep | None:
        makes = tuple(cell for cell in self.makes if cell.id not in done.cells)
        return replace(self, makes=makes) if makes else None

    def describe(self) -> str:
        names = dict.fromkeys(cell.detector.detector.label for cell in self.makes if cell.detector)
        return f"detection by {', '.join(names)}: {self.makes[0].target.describe()}"

    def run(self, store: Store, context: RunContext, progress: Progress | None) -> tuple[Outcome, ...]:
        begun = time.perf_counter()
        # Before the weights are loaded: what is replaced meanwhile then counts as made from the old.
        made_from = {cell.id: made_from_of(cell, store) for cell in self.makes}
        detecting = Detecting(self.makes, store, context, progress)
        detecting.craft()
        found = {cell.id: detecting.judged(cell) for cell in self.makes}
        seconds = (time.perf_counter() - begun) / len(self.makes)
        rows = [
            cell_row(
                cell,
                self.id,
                context,
                found[cell.id].status,
                found[cell.id].reason,
                eps=detecting.eps,
                control=False,
                iterations=cell.cumulative_value or 1,
                made_from=made_from[cell.id],
                images=len(detecting.part),
                draws=1,
                seconds=seconds,
                forward_passes=round(detecting.passes[0] / len(self.makes)),
                backward_passes=round(detecting.passes[1] / len(self.makes)),
                peak_memory=peak_memory(context.device),
            )
            for cell in self.makes
        ]
        for cell in self.makes:
            if (state := found[cell.id].state) is not None:
                _keep(cell, state, store, made_from[cell.id])
        samples = {cell: judged.samples for cell, judged in found.items() if judged.samples is not None}
        store.write_step(StepRecord(self.id, rows, samples))
        write_part(self.makes[0].part, store, context)
        return tuple((row["cell"], row["status"], row["reason"]) for row in rows)


def _keep(cell: Cell, state: State, store: Store, made_from: list[str]) -> None:
    """Write what a cell's detector has learned; equal arrays are one file."""
    assert cell.detector is not None
    description: Mapping[str, Any] = {**cell.axes(), "cell": cell.id, "parameters": cell.detector.fields}
    row = {
        "artifact": cell.detector_id,
        "kind": "detector",
        "content": store.save_tensors(tensors_of(state)),
        "made_from": made_from,
        "description": json.dumps(description),
        "created": datetime.now(UTC),
    }
    store.write_rows("artifacts", cell.detector_id, [row])
