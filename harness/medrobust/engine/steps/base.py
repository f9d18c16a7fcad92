"""What every kind of step is, and running one in this process."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ...errors import LostError
from ...grid.cells import Cell
from ...grid.plan import Done
from ...results.store import StepRecord, Store
from ..context import RunContext
from ..explain import explain
from ..models.training import Progress
from ..sizes import Sizes
from .rows import cell_row
from .work import Work

Outcome = tuple[str, str, str]
"""(cell, status, reason)"""


@dataclass(frozen=True)
class StepReport:
    """How a step ended.

    Attributes:
        step: its identity.
        seconds: how long it took.
        error: why the whole step failed, or empty.
        cells: (identity, status, reason) of the cells it made.
        lost: whether it failed for want of a file of the store, which can be made again.
    """

    step: str
    seconds: float
    error: str = ""
    cells: tuple[Outcome, ...] = ()
    lost: bool = False


@dataclass(frozen=True)
class History:
    """Median seconds that a store has recorded.

    Attributes:
        fits: of a training, by (data set, model).
        cells: of a cell, by (data set, model, attack).
        memory: the most bytes that a process had when it made such a cell, by (data set, model, attack).
    """

    fits: Mapping[tuple[str, str], float] = field(default_factory=dict)
    cells: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    memory: Mapping[tuple[str, str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Step(ABC):
    """One piece of a plan. It is sent to workers, so its fields can be pickled.

    Attributes:
        id: identity; steps of equal identity make the same.
        needs: identities of steps that come before it.
    """

    kind: ClassVar[str]

    id: str
    needs: tuple[str, ...] = ()

    @property
    @abstractmethod
    def threads(self) -> int:
        """Threads it computes with; for a training they are part of the identity of its weights."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Cells that get a row from it."""
        return ()

    def work(self, sizes: Sizes) -> list[Work] | None:
        """What it asks of which models, about; None where the number of images is not known."""
        return []

    def seconds(self, history: History) -> float | None:
        """What it took when it was run before, or None where nothing of the kind is recorded."""
        return None

    def memory(self, history: History) -> int | None:
        """The bytes it needs, by what its cells have needed before, or None where nothing of the kind is recorded."""
        axes = (cell.axes() for cell in self.cells)
        known = [history.memory.get((a["dataset"], a["model"], a["attack"])) for a in axes]
        return max((each for each in known if each is not None), default=None)

    @abstractmethod
    def remaining(self, done: Done) -> Step | None:
        """What is left of it where this is done; None if nothing is."""

    @abstractmethod
    def describe(self) -> str:
        """For progress and messages."""

    @abstractmethod
    def run(self, store: Store, context: RunContext, progress: Progress | None) -> tuple[Outcome, ...]:
        """Make what it makes and write it; the outcomes of its cells."""

    def fail(self, store: Store, context: RunContext, reason: str) -> tuple[Outcome, ...]:
        """Write a row with the reason for every cell, after the step failed as a whole."""
        if self.cells:
            rows = [cell_row(cell, self.id, context, "failed", reason) for cell in self.cells]
            store.write_step(StepRecord(self.id, rows))
        return tuple((cell.id, "failed", reason) for cell in self.cells)


def run_step(step: Step, context: RunContext, progress: Progress | None = None) -> StepReport:
    """Run a step and write what it made; an error becomes part of the report, never of the caller."""
    begun = time.perf_counter()
    store = Store(context.store)
    try:
        outcomes = step.run(store, context, progress)
        return StepReport(step.id, time.perf_counter() - begun, cells=outcomes)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises must not stop the others
        reason = explain(error, step.describe())
        outcomes = step.fail(store, context, reason)
        lost = isinstance(error, LostError)
        return StepReport(step.id, time.perf_counter() - begun, reason, outcomes, lost)
