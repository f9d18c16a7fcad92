"""A session: the one object that plans grids and runs plans, for the command line, pytest and the leaderboard."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from ..contracts import ImageData, Task
from ..errors import ExecutorError, MedrobustError
from ..grid.blocks import Grid
from ..grid.evidence_cells import with_evidence
from ..grid.expansion import expand
from ..grid.metadata import MetadataCache
from ..grid.plan import Done, Plan
from ..grid.reader import parse_grid, read_grid
from ..plugins.in_memory import offer_dataset, offer_model
from ..plugins.registry import Registry
from ..results.store import Store
from .acceleration import Acceleration
from .computing import compute, done_in
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
from .planner import steps_of
from .preflight import check_checkpoints
from .requests import write_request
from .running.executors import GivenExecutor, Processes, ThisProcess, Workers
from .running.progress import Silent, Watcher
from .running.standing import telling
from .steps import Step


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        made: cells computed by this run.
        cached: cells that were in the store already.
        elsewhere: cells that other runs on the same store computed meanwhile.
        steps: done by this run.
        steps_elsewhere: done by other runs meanwhile.
        problems: (cell, status, reason) of every cell without a result.
        excluded: combinations excluded by the threat model or the grid.
        impossible: reasons of combinations that lack data or weights.
        seconds: wall time.
    """

    made: int
    cached: int
    elsewhere: int = 0
    steps: int = 0
    steps_elsewhere: int = 0
    problems: tuple[tuple[str, str, str], ...] = ()
    excluded: int = 0
    impossible: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every cell that was asked for has a result."""
        return not self.problems and not self.impossible


@dataclass
class Session:
    """Plugins, a store, and the hardware to use.

    Args:
        store_path: directory of the store, or a URL that fsspec knows.
        plugin_files: local plugin files.
        data_root: root of file-based data sets; MEDROBUST_DATA if not given.
        cache: directory of decoded images; MEDROBUST_CACHE or the user's cache if not given.
        device: torch device; CUDA if there is one.
        workers: number of processes, by default one per core, or one on a GPU; 1 runs in this process.
        strict: raise at the first broken plugin.
        acceleration: parts of the fast path that attacks use.
        executor: where steps run instead: any `concurrent.futures.Executor` (with `workers` steps at once), or
            `Workers`, which describe it further.
        confined: look for data and checkpoints below the data root alone, as for the records of a stranger.

    Raises:
        MedrobustError: if a named place does not exist.
    """

    store_path: Path | str
    plugin_files: tuple[Path, ...] = ()
    data_root: Path | None = None
    cache: Path | None = None
    device: str = ""
    workers: int | None = None
    strict: bool = False
    acceleration: Acceleration = Acceleration()  # noqa: RUF009 - frozen
    executor: Executor | Workers | None = None
    confined: bool = False
    registry: Registry = field(init=False)
    context: RunContext = field(init=False)
    store: Store = field(init=False)
    metadata: MetadataCache = field(init=False)
    _notes: dict[str, None] = field(init=False, default_factory=dict, repr=False)
    _in_memory: dict[str, None] = field(init=False, default_factory=dict, repr=False)
    """Models and data sets of this process, which no other one has, in words."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise MedrobustError(f"workers must be at least 1, got {self.workers}")
        files = tuple(Path(f).absolute() for f in self.plugin_files)
        root = checked_data_root(self.data_root, "--data-root") or default_data_root()
        self.device = checked_device(self.device) if self.device else default_device()
        self.store = Store(self.store_path)
        cache = Path(self.cache).absolute() if self.cache else default_cache()
        self.context = RunContext(self.store.path, root, cache, self.device, files, self.acceleration, self.confined)
        self.registry = Registry.discover(files, strict=self.strict)
        self.metadata = MetadataCache(self.context.source, self.registry, cache)

    def plan(
        self,
        grid: Path | Mapping[str, Any] | Grid,
        *,
        profile: str = "",
        images: int | None = None,
        precision: str = "",
        evidence: bool = False,
    ) -> Plan:
        """The plan of a grid: its file, its content as a table (as TOML would be read), or one that was parsed.

        Args:
            grid: what to plan.
            profile: of a file or a table, as in `read_grid`.
            images: likewise.
            precision: likewise.
            evidence: add the few cells that the checks of evidence need.

        Raises:
            GridError: for a mistake in the grid.
        """
        name = ""
        if isinstance(grid, Path):
            # Most grid files are called grid.toml: their folder tells them apart.
            name = f"{grid.absolute().parent.name}/{grid.stem}"
            grid = read_grid(grid, self.registry, profile=profile, images=images, precision=precision)
        elif isinstance(grid, Mapping):
            grid = parse_grid(grid, self.registry, profile=profile, images=images, precision=precision)
        if evidence:
            grid = with_evidence(grid, self.registry)
        entries, notes = check_checkpoints(expand(grid, self.metadata), self.store.fitted, self.context)
        self._notes |= dict.fromkeys(notes)
        return Plan(name or grid.name, grid.profile, tuple(entries))

    def notes(self) -> list[str]:
        """What the grids planned so far mean where that may surprise: how the weights of a checkpoint were found."""
        return list(self._notes)

    def add_model(self, name: str, module: nn.Module, *, shape: tuple[int, int, int], stochastic: bool = False) -> None:
        """Make a network of this process a model that grids can name.

        A copy is taken, in evaluation mode. Its identity is that of its weights, the source of its classes and its
        logits on fixed images, so that results are found again when the same network is handed in again. Classes
        without a source file (typed into an interpreter) give a new identity each time. Records name the model but
        cannot rebuild it: its code is not in the store. Runs stay in this process.

        Args:
            name: what grids and tables call it; a network handed in later under the same name replaces it.
            module: takes float32 images (n, c, h, w) in [0, 1], normalises them itself, returns logits (n, outputs).
            shape: (channels, height, width) of its images.
            stochastic: whether its logits differ between equal images.

        Raises:
            ModelError: if it gives no logits of that form, or cannot be copied.
        """
        offer_model(self.registry, name, module, shape, stochastic=stochastic)
        self._in_memory[f"model '{name}'"] = None

    def add_dataset(
        self,
        name: str,
        splits: Mapping[str, ImageData],
        *,
        classes: Sequence[str],
        task: Task = "multiclass",
        shared_groups: bool = False,
    ) -> None:
        """Make arrays of this process a data set that grids can name; they are written nowhere.

        Args:
            name: what grids and tables call it; images handed in later under the same name replace it.
            splits: the images of `train`, `val` or `test`; `image_data` makes them of arrays and tensors.
            classes: names of the classes, in index order.
            task: `multiclass` or `multilabel`.
            shared_groups: declares that some groups are in several splits; results are then marked. Undeclared, such a
                data set is an error when a grid is planned.

        Raises:
            DataError: for unknown splits, or images of several sizes.
        """
        offer_dataset(self.registry, name, splits, classes, task, shared_groups=shared_groups)
        self._in_memory[f"data set '{name}'"] = None

    def evidence(self, plan: Plan, *, stored: bool = False) -> list[dict[str, Any]]:
        """The evidence checks for each model and norm, from the records; also written to the store's table `evidence`.

        Models and data sets have the names that the grid gives them. `stored` returns what the table has already and
        checks nothing.
        """
        named = {e.cell.target.id: e.row() for e in reversed(plan.entries) if e.cell is not None}
        return [
            {**row, **{axis: named[row["target"]][axis] for axis in ("dataset", "model", "defense")}}
            for row in (self.stored_evidence() if stored else collect(self.store, plan.cells.keys()))
            if row["target"] in named
        ]

    def stored_evidence(self) -> list[dict[str, Any]]:
        """The evidence in the store, under the store's own names."""
        return [{str(k): v for k, v in row.items()} for row in self.store.rows("evidence").to_dict("records")]

    def done(self) -> Done:
        """What the store has already."""
        return done_in(self.store)

    def steps(self, plan: Plan) -> list[Step]:
        """The steps that compute what the store lacks of a plan."""
        return steps_of(plan, self.done())

    def _workers(self, steps: Sequence[Step]) -> Workers:
        """Where steps run: the executor that was given, else a process a core, a GPU or this process.

        Raises:
            ExecutorError: if the executor has other processes, and a model or data set is in this one's memory.
        """
        if self._in_memory and not isinstance(self.executor, ThreadPoolExecutor | ThisProcess | None):
            raise ExecutorError(
                f"{', '.join(self._in_memory)}: handed in by a program, and in the memory of its process alone. Leave "
                "out the executor to run there, or write them as plugins, which travel (docs/cluster.md)"
            )
        if isinstance(self.executor, Executor):
            return GivenExecutor(self.executor, self.workers or cores())
        if self.executor is not None:
            return self.executor
        threads = max(s.threads for s in steps)
        if self._in_memory:
            return ThisProcess()
        count = self.workers or (1 if self.device.startswith("cuda") else max(cores() // threads, 1))
        count = min(count, len(steps))
        return ThisProcess() if count == 1 else Processes(count, threads)

    def run(self, plan: Plan, watcher: Watcher | None = None, *, command: str = "") -> Outcome:
        """Compute every cell of a plan that the store lacks, and make again what it has lost.

        A cell that fails does not stop the others. If the process is killed, only the steps in progress are lost. Runs
        that share a store share the steps.

        Args:
            plan: what to compute.
            watcher: receives progress.
            command: the command line that asked for it, if any; the store keeps it, to name it should files be lost.
                What ends such a run early has a note that tells how far it came.

        Raises:
            PlaceError: if the store or the cache cannot be written: a full disk, a read-only one, one that is gone.
        """
        with telling(plan, self.store) if command else nullcontext():
            return self._run(plan, watcher or Silent(), command)

    def _run(self, plan: Plan, watcher: Watcher, command: str) -> Outcome:
        begun = time.perf_counter()
        self.store.create()
        # First of all, so that a store also knows what a run that was stopped did not come to.
        write_request(plan, self.store, command)
        finished = self.store.finished() & plan.cells.keys()
        tally = compute(plan, self.store, self.context, self._workers, watcher)
        self.store.require(anew=True)
        cached = len(finished - tally.cells - tally.cells_elsewhere)
        elsewhere = len(tally.cells_elsewhere - tally.cells)
        frame = self.store.cells(["reason"])
        mine = frame[frame["cell"].isin(list(plan.cells))]
        bad = mine[mine["status"] != "ok"]
        # Of several failures the store tells the latest by its clock, which may have been set.
        told = {**dict(zip(bad["cell"], bad["reason"], strict=True)), **tally.reasons}
        problems = [(c, str(s), str(told[c])) for c, s in zip(bad["cell"], bad["status"], strict=True)]
        known = set(mine["cell"])
        problems += [(c, "missing", "not computed") for c in plan.cells if c not in known]
        measured = self.store.artifacts()
        for key, (cell, probe) in plan.probes.items():
            if key not in measured:
                problems.append((cell.id, "failed", f"{probe.label}: {tally.failed.get(key, 'not measured')}"))
        return Outcome(
            made=len(plan.cells) - cached - elsewhere,
            cached=cached,
            elsewhere=elsewhere,
            steps=tally.steps,
            steps_elsewhere=tally.steps_elsewhere,
            problems=tuple(problems),
            excluded=sum(1 for _ in plan.excluded),
            impossible=tuple(dict.fromkeys(e.impossible for e in plan.impossible)),
            seconds=time.perf_counter() - begun,
        )
