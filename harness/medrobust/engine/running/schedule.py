"""Running steps when what they need is done, until all are done or have failed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from ...errors import ExecutorError, PlaceError, WorkerLostError
from ...results.leases import Lease, Leases
from ...results.store import Store
from ..context import RunContext
from ..steps import Step, StepReport
from .arrivals import Arrivals
from .executors import Event, Workers
from .progress import Watcher

RETRIES = 1
"""How often a step whose worker was lost is tried again."""
POLL = 1.0
"""Seconds between two looks at what other runs have done."""


@dataclass
class Tally:
    """How steps ended.

    Attributes:
        failed: why a step failed, by its identity.
        steps, steps_elsewhere: that were run here, and that other runs made meanwhile.
        cells, cells_elsewhere: identities of the cells of these steps.
        failed_cells: those of them without a result.
        reasons: of these, why.
    """

    failed: dict[str, str] = field(default_factory=dict)
    steps: int = 0
    steps_elsewhere: int = 0
    cells: set[str] = field(default_factory=set)
    cells_elsewhere: set[str] = field(default_factory=set)
    failed_cells: set[str] = field(default_factory=set)
    reasons: dict[str, str] = field(default_factory=dict)


class Schedule:
    """Runs steps on workers, each under a lease. Steps that another run is at are left to it, and waited for.

    Args:
        steps: with their needs; a need that is no step here counts as met.
        workers: where they run.
        store: where the reasons of failed steps are written.
        context: for the steps.
        watcher: receives progress.
        leases: of this run.
        arrivals: made before the steps were planned.
        tally: receives how each step ended.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        workers: Workers,
        store: Store,
        context: RunContext,
        watcher: Watcher,
        leases: Leases,
        arrivals: Arrivals,
        tally: Tally,
    ) -> None:
        self.steps = {s.id: s for s in steps}
        self.workers = workers
        self.store = store
        self.context = context
        self.watcher = watcher
        self.leases = leases
        self.arrivals = arrivals
        self.tally = tally
        self._failed: dict[str, str] = {}
        self._lost: set[str] = set()
        self._losses: dict[str, int] = {}
        self._ready: deque[Step] = deque()
        self._waiting: dict[str, Step] = {}
        self._looked = 0.0
        self._order = TopologicalSorter({s.id: [n for n in s.needs if n in self.steps] for s in steps})

    def run(self) -> None:
        """Run all steps."""
        self._order.prepare()
        while self._order.is_active():
            with self.workers.open(self.watcher.event) as executor:
                self._serve(executor)

    def _serve(self, executor: Executor) -> None:
        """Run steps on an executor until none is left, or a worker was lost."""
        running: dict[Future[StepReport], Step] = {}
        try:
            self._find_ready()
            while self._order.is_active():
                self._hand_out(executor, running)
                if not self._collect(running):
                    return
                self._find_ready()
                self._look_around(idle=not running and not self._ready)
        except BaseException:
            # An executor that the caller keeps would go on with what has not begun.
            for future in running:
                future.cancel()
            raise

    def _find_ready(self) -> None:
        self._ready.extend(self.steps[i] for i in self._order.get_ready())

    def _hand_out(self, executor: Executor, running: dict[Future[StepReport], Step]) -> None:
        """Submit ready steps, as many as the workers take, that no other run is at or has done."""
        while self._ready and (room := self.workers.ahead - len(running)) > 0:
            wanted = [self._ready.popleft() for _ in range(min(room, len(self._ready)))]
            self._hand_out_these(wanted, executor, running)

    def _hand_out_these(self, steps: list[Step], executor: Executor, running: dict[Future[StepReport], Step]) -> None:
        possible = []
        for step in steps:
            broken = next((n for n in step.needs if n in self._failed), None)
            if broken is not None:
                self._fail(step, self._failed[broken], lost=broken in self._lost)
            else:
                possible.append(step)
        holders = self.leases.take_all([step.id for step in possible])
        # After the leases are taken: what another run did of these steps before is there.
        there = self.arrivals.update(now=False) if None in holders else self.arrivals.done
        for step, holder in zip(possible, holders, strict=True):
            if holder is not None:
                self._meet(step, holder)
            elif (rest := step.remaining(there)) is None:
                self._close_elsewhere(step)
            else:
                self.tally.cells_elsewhere |= {c.id for c in step.cells} - {c.id for c in rest.cells}
                running[self.workers.submit(executor, rest, self.context, self.watcher.event)] = rest

    def _collect(self, running: dict[Future[StepReport], Step]) -> bool:
        """Wait for a step to end, or for a moment if other runs are waited for too; False if a worker was lost."""
        if not running:
            if self._waiting:
                time.sleep(POLL)
            return True
        for future in wait(running, POLL if self._waiting else None, FIRST_COMPLETED).done:
            step = running.pop(future)
            try:
                self._close(step, future.result())
            except self.workers.lost:
                for lost in (step, *running.values()):
                    self._retry(lost)
                return False
            except (ExecutorError, PlaceError):
                raise
            except WorkerLostError as error:
                self._fail(step, str(error))
            except Exception as error:  # noqa: BLE001 - for instance a step that cannot be sent to a worker
                self._fail(step, f"{type(error).__name__}: {error}")
        return True

    def _look_around(self, *, idle: bool) -> None:
        """See what has become of the steps that other runs are at; say so, where there is nothing else to do."""
        if not self._waiting or time.monotonic() - self._looked < POLL:
            return
        self._looked = time.monotonic()
        for step in list(self._waiting.values()):
            # The lease first: it is given back after the result is there.
            holder = self.leases.holder(step.id)
            # What nobody holds any more was done, or is about to be handed out: then the answer has to be sure.
            if step.remaining(self.arrivals.update(now=holder is None)) is None:
                del self._waiting[step.id]
                self._close_elsewhere(step)
            elif holder is None:
                del self._waiting[step.id]
                self._ready.append(step)
            else:
                self._meet(step, holder)
                if idle and not holder.failed:
                    by = f"computed by another run ({holder.owner})"
                    self.watcher.event(Event(step.id, 0, 1, by, elsewhere=True))

    def _meet(self, step: Step, holder: Lease) -> None:
        """Another run is at a step, or has found that it fails."""
        if holder.failed:
            self._waiting.pop(step.id, None)
            self.tally.steps_elsewhere += 1
            self._close(step, StepReport(step.id, 0.0, holder.failed, _all_failed(step, holder.failed)))
        else:
            self._waiting[step.id] = step

    def _retry(self, step: Step) -> None:
        """Its worker was lost while this step was in flight: try again once, then give it up."""
        self._losses[step.id] = self._losses.get(step.id, 0) + 1
        if self._losses[step.id] > RETRIES:
            self._fail(step, "its worker process died twice, perhaps because memory ran out; try --workers 1")
        else:
            self._ready.appendleft(step)

    def _fail(self, step: Step, reason: str, *, lost: bool = False) -> None:
        outcomes = step.fail(self.store, self.context, reason)
        self._close(step, StepReport(step.id, 0.0, reason, outcomes, lost))

    def _close_elsewhere(self, step: Step) -> None:
        self.tally.steps_elsewhere += 1
        self.tally.cells_elsewhere |= {cell.id for cell in step.cells}
        self._end(step, StepReport(step.id, 0.0))

    def _close(self, step: Step, report: StepReport) -> None:
        if step.id in self.leases:
            self.tally.steps += 1
            self.arrivals.own.add(step.id)
        self.tally.cells |= {cell.id for cell in step.cells}
        if report.error:
            self._failed[step.id] = report.error
        if report.lost:
            # It can be made again, and the step then tried again.
            self._lost.add(step.id)
        else:
            self.tally.failed |= {step.id: report.error} if report.error else {}
            reasons = {cell: reason for cell, status, reason in report.cells if status == "failed"}
            self.tally.failed_cells |= reasons.keys()
            self.tally.reasons |= reasons
        self._end(step, report)

    def _end(self, step: Step, report: StepReport) -> None:
        if step.id in self.leases:
            if report.error and not report.lost:
                self.leases.mark_failed(step.id, report.error)
            else:
                self.leases.give_back(step.id, wait=False)
        self._order.done(step.id)
        self.watcher.finished(self.steps[step.id], report)


def _all_failed(step: Step, reason: str) -> tuple[tuple[str, str, str], ...]:
    return tuple((cell.id, "failed", reason) for cell in step.cells)
