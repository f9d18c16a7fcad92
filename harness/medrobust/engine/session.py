"""A session: the one object that plans grids and runs plans, for the command line, pytest and the leaderboard."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import MedrobustError
from ..grid.blocks import Grid
from ..grid.evidence_cells import with_evidence
from ..grid.expansion import expand
from ..grid.metadata import MetadataCache
from ..grid.plan import CraftStep, Done, Plan, Step
from ..grid.reader import read_grid
from ..plugins.registry import Registry
from ..results.store import Store
from . import executors
from .context import (
    RunContext,
    checked_data_root,
    checked_device,
    cores,
    default_cache,
    default_data_root,
    default_device,
)
from .evidence import collect
from .executors import InlineExecutor, process_pool
from .prepare import Acceleration
from .progress import Silent, Watcher
from .requests import write_request
from .steps import Report, record_failure


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        made: cells computed now.
        cached: cells that were there.
        problems: (cell, status, reason) of every cell without a result.
        excluded: combinations excluded by the threat model or the grid.
        impossible: reasons of combinations for which data or weights are missing.
        seconds: wall time.
    """

    made: int
    cached: int
    problems: tuple[tuple[str, str, str], ...] = ()
    excluded: int = 0
    impossible: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether everything asked for is there."""
        return not self.problems and not self.impossible


@dataclass
class Session:
    """Plugins, a store, and the hardware to use.

    Args:
        store: directory of the store.
        plugin_files: local plugin files.
        data_root: root of file-based data sets; MEDROBUST_DATA if not given.
        cache: directory of decoded images; MEDROBUST_CACHE or the user's cache if not given.
        device: torch device; CUDA if there is one.
        workers: processes; one a core if not given, 1 runs in this process, and never more than a GPU serves.
        strict: raise at the first broken plugin.
        acceleration: what of the fast path crafting uses.

    Raises:
        MedrobustError: if a named place does not exist.
    """

    store_path: Path
    plugin_files: tuple[Path, ...] = ()
    data_root: Path | None = None
    cache: Path | None = None
    device: str = ""
    workers: int | None = None
    strict: bool = False
    acceleration: Acceleration = Acceleration()  # noqa: RUF009 - frozen
    registry: Registry = field(init=False)
    context: RunContext = field(init=False)
    store: Store = field(init=False)
    metadata: MetadataCache = field(init=False)

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise MedrobustError(f"workers must be at least 1, got {self.workers}")
        files = tuple(Path(f).absolute() for f in self.plugin_files)
        root = checked_data_root(self.data_root, "--data-root") or default_data_root()
        self.device = checked_device(self.device) if self.device else default_device()
        self.store = Store(Path(self.store_path).absolute())
        cache = Path(self.cache).absolute() if self.cache else default_cache()
        self.context = RunContext(self.store.path, root, cache, self.device, files, self.acceleration)
        self.registry = Registry.discover(files, strict=self.strict)
        self.metadata = MetadataCache(self.context.source, self.registry)

    def plan(
        self,
        grid: Path | Grid,
        *,
        profile: str = "",
        images: int | None = None,
        precision: str = "",
        evidence: bool = False,
    ) -> Plan:
        """The plan of a grid file or of a grid; `evidence` adds the few cells that its checks need.

        Raises:
            GridError: for a mistake in the grid.
        """
        name = ""
        if isinstance(grid, Path):
            # Most grid files are called grid.toml: their folder tells them apart.
            name = f"{grid.absolute().parent.name}/{grid.stem}"
            grid = read_grid(grid, self.registry, profile=profile, images=images, precision=precision)
        if evidence:
            grid = with_evidence(grid, self.registry)
        return Plan(name or grid.name, grid.profile, tuple(expand(grid, self.metadata)))

    def evidence(self, plan: Plan, *, stored: bool = False) -> list[dict[str, Any]]:
        """What the records say about believing them, per model and norm; kept in the store's table `evidence`.

        Models and data sets are called here what the grid calls them. `stored` takes what is kept there already and
        computes nothing.
        """
        named = {e.cell.target.id: e.row() for e in reversed(plan.entries) if e.cell is not None}
        return [
            {**row, **{axis: named[row["target"]][axis] for axis in ("dataset", "model", "defense")}}
            for row in (self.stored_evidence() if stored else collect(self.store, plan.cells.keys()))
            if row["target"] in named
        ]

    def stored_evidence(self) -> list[dict[str, Any]]:
        """The evidence that the store keeps, under the store's own names."""
        return [{str(k): v for k, v in row.items()} for row in self.store.rows("evidence").to_dict("records")]

    def done(self) -> Done:
        """What a plan need not make again."""
        return Done(self.store.finished(), self.store.fitted().keys(), self.store.artifacts())

    def run(self, plan: Plan, watcher: Watcher | None = None) -> Outcome:
        """Compute every cell of a plan that the store lacks.

        A failing cell stops no other; killing the process loses the steps in flight and nothing else.
        """
        import time

        begun = time.perf_counter()
        self.store.create()
        # First of all, so that a store also knows what a run that was stopped did not come to.
        write_request(plan, self.store)
        watcher = watcher or Silent()
        finished = self.store.finished()
        cached = sum(1 for c in plan.cells if c in finished)
        steps = plan.steps(self.done())
        failed: Mapping[str, str] = {}
        if steps:
            watcher.begin(steps)
            try:
                failed = _Schedule(steps, self, watcher).run()
            finally:
                watcher.end()
            self.store.compact()
        frame = self.store.cells(["reason"])
        mine = frame[frame["cell"].isin(list(plan.cells))]
        bad = mine[mine["status"] != "ok"]
        problems = [(c, str(s), str(r)) for c, s, r in zip(bad["cell"], bad["status"], bad["reason"], strict=True)]
        known = set(mine["cell"])
        problems += [(c, "missing", "not computed") for c in plan.cells if c not in known]
        measured = self.store.artifacts()
        for key, (cell, probe) in plan.probes.items():
            if key not in measured:
                problems.append((cell.id, "failed", f"{probe.label}: {failed.get(key, 'not measured')}"))
        return Outcome(
            made=len(plan.cells) - cached,
            cached=cached,
            problems=tuple(problems),
            excluded=sum(1 for _ in plan.excluded),
            impossible=tuple(dict.fromkeys(e.impossible for e in plan.impossible)),
            seconds=time.perf_counter() - begun,
        )


class _Schedule:
    """Hands out steps whose needs are met, until all are done or given up."""

    RETRIES = 1

    def __init__(self, steps: list[Step], session: Session, watcher: Watcher) -> None:
        self.steps = {s.id: s for s in steps}
        self.session = session
        self.watcher = watcher
        self.waiting = list(steps)
        self.failed: dict[str, str] = {}
        self.met: set[str] = set()
        self.deaths: dict[str, int] = {}

    def run(self) -> Mapping[str, str]:
        """Run all steps; the reasons of those that failed, by step."""
        threads = max(s.threads for s in self.steps.values())
        workers = self.session.workers or (1 if self.session.device.startswith("cuda") else max(cores() // threads, 1))
        workers = min(workers, len(self.steps))
        if workers == 1:
            self.serve(InlineExecutor(), 1)
            return self.failed
        while self.waiting:
            with (
                _worker_environment(threads),
                process_pool(workers, self.session.context.plugin_files, self.watcher.event) as pool,
            ):
                try:
                    self.serve(pool, workers)
                except BrokenProcessPool:
                    continue
        return self.failed

    def ready(self) -> Iterable[Step]:
        """Steps whose needs are met; those that need a failed step fail with its reason."""
        for step in list(self.waiting):
            broken = next((n for n in step.needs if n in self.failed), None)
            if broken is not None:
                self.waiting.remove(step)
                self.fail(step, self.failed[broken])
            elif all(n in self.met or n not in self.steps for n in step.needs):
                yield step

    def serve(self, executor: Executor, workers: int) -> None:
        """Run steps on an executor until none is left.

        Raises:
            BrokenProcessPool: if a worker died; the steps that were in flight wait again, once.
        """
        inline = isinstance(executor, InlineExecutor)
        running: dict[Future[Report], Step] = {}
        while self.waiting or running:
            for step in self.ready():
                # A few steps more than workers keep every worker busy without fixing the order far ahead.
                if len(running) >= (1 if inline else workers + 1):
                    break
                self.waiting.remove(step)
                arguments = (step, self.session.context, step.threads)
                listen = (self.watcher.event,) if inline else ()
                running[executor.submit(executors.work, *arguments, *listen)] = step
            if not running:
                if self.waiting:
                    continue
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                step = running.pop(future)
                try:
                    report = future.result()
                except BrokenProcessPool:
                    for lost in (step, *running.values()):
                        self.died(lost)
                    raise
                except Exception as error:  # noqa: BLE001 - for instance a step that cannot be sent to a process
                    self.fail(step, f"{type(error).__name__}: {error}")
                    continue
                self.close(step, report)

    def died(self, step: Step) -> None:
        """A worker died while this step was in flight: try again once, then give it up."""
        self.deaths[step.id] = self.deaths.get(step.id, 0) + 1
        if self.deaths[step.id] > self.RETRIES:
            self.fail(step, "the worker process died twice while it ran, for lack of memory perhaps; try --workers 1")
        else:
            self.waiting.insert(0, step)

    def fail(self, step: Step, reason: str) -> None:
        record_failure(self.session.store, self.session.context, step, reason)
        cells = tuple((o.cell.id, "failed", reason) for o in step.outputs) if isinstance(step, CraftStep) else ()
        self.close(step, Report(step.id, 0.0, reason, cells))

    def close(self, step: Step, report: Report) -> None:
        if report.error:
            self.failed[step.id] = report.error
        self.met.add(step.id)
        self.watcher.finished(step, report)


@contextlib.contextmanager
def _worker_environment(threads: int) -> Iterator[None]:
    """Libraries read these when a worker imports them; workers times threads must not exceed the cores."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {n: os.environ.get(n) for n in names}
    os.environ.update(dict.fromkeys(names, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
