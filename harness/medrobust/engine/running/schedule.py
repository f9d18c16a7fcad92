"""Running steps when what they need is done, until all are done or have failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from graphlib import TopologicalSorter

from ...results.store import Store
from ..context import RunContext
from ..steps import Step, StepReport
from .executors import Workers
from .progress import Watcher

RETRIES = 1
"""How often a step whose worker was lost is tried again."""


class Schedule:
    """Runs steps on workers.

    Args:
        steps: with their needs; a need that is no step here counts as met.
        workers: where they run.
        store: where the reasons of failed steps are written.
        context: for the steps.
        watcher: receives progress.
    """

    def __init__(
        self, steps: Sequence[Step], workers: Workers, store: Store, context: RunContext, watcher: Watcher
    ) -> None:
        self.steps = {s.id: s for s in steps}
        self.workers = workers
        self.store = store
        self.context = context
        self.watcher = watcher
        self.failed: dict[str, str] = {}
        self._losses: dict[str, int] = {}
        self._ready: deque[Step] = deque()
        self._order = TopologicalSorter({s.id: [n for n in s.needs if n in self.steps] for s in steps})

    def run(self) -> Mapping[str, str]:
        """Run all steps; the reasons of those that failed, by step."""
        self._order.prepare()
        while self._order.is_active():
            with self.workers.open(self.watcher.event) as executor:
                self._serve(executor)
        return self.failed

    def _serve(self, executor: Executor) -> None:
        """Run steps on an executor until none is left, or a worker was lost."""
        running: dict[Future[StepReport], Step] = {}
        while self._order.is_active():
            self._ready.extend(self.steps[i] for i in self._order.get_ready())
            while self._ready and len(running) < self.workers.ahead:
                step = self._ready.popleft()
                broken = next((n for n in step.needs if n in self.failed), None)
                if broken is None:
                    running[self.workers.submit(executor, step, self.context, self.watcher.event)] = step
                else:
                    self._fail(step, self.failed[broken])
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                step = running.pop(future)
                try:
                    self._close(step, future.result())
                except self.workers.lost:
                    for lost in (step, *running.values()):
                        self._retry(lost)
                    return
                except Exception as error:  # noqa: BLE001 - for instance a step that cannot be sent to a worker
                    self._fail(step, f"{type(error).__name__}: {error}")

    def _retry(self, step: Step) -> None:
        """Its worker was lost while this step was in flight: try again once, then give it up."""
        self._losses[step.id] = self._losses.get(step.id, 0) + 1
        if self._losses[step.id] > RETRIES:
            self._fail(step, "its worker process died twice, perhaps because memory ran out; try --workers 1")
        else:
            self._ready.appendleft(step)

    def _fail(self, step: Step, reason: str) -> None:
        outcomes = step.fail(self.store, self.context, reason)
        self._close(step, StepReport(step.id, 0.0, reason, outcomes))

    def _close(self, step: Step, report: StepReport) -> None:
        if report.error:
            self.failed[step.id] = report.error
        self._order.done(step.id)
        self.watcher.finished(step, report)
