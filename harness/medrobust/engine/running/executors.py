"""Where steps run: this process, a process a core, or any `concurrent.futures` executor."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing.queues import Queue
from typing import Any, ClassVar

import torch

from ...plugins.registry import load_local_files
from ..context import RunContext
from ..numerics import LIBRARY_SWITCHES, ieee_float32
from ..steps import Step, StepReport, run_step
from .process import set_up


@dataclass(frozen=True)
class Event:
    """Progress of a running step; `elsewhere` if another run computes it."""

    step: str
    done: int
    total: int
    text: str
    elsewhere: bool = False


Listen = Callable[[Event], None]


class Workers(ABC):
    """An executor, and what a run must know about it. Derive from it for another kind of executor.

    Attributes:
        count: steps that run at once.
        remote: whether its workers may be on other machines, which have other places and devices.
        lost: what a future raises if its worker was lost; the step is then tried once more on a fresh executor.
    """

    count: int
    remote: ClassVar[bool] = False
    lost: tuple[type[BaseException], ...] = (BrokenExecutor,)

    @abstractmethod
    def open(self, listen: Listen) -> AbstractContextManager[Executor]:
        """The executor, started; it is closed when the context ends.

        Args:
            listen: takes progress events of running steps, from any thread, where the executor can bring them here.
        """

    def submit(self, executor: Executor, step: Step, context: RunContext, listen: Listen) -> Future[StepReport]:
        """Hand one step over."""
        return executor.submit(work, pickle.dumps(step), context, step.threads)

    @property
    def ahead(self) -> int:
        """Steps to submit at once: one more than run keeps every worker busy."""
        return self.count + 1


@dataclass
class GivenExecutor(Workers):
    """An executor that the caller opens and closes; it reports no progress within a step.

    Its workers must be able to import medrobust and the plugins of the grid; local plugin files are loaded by path.
    """

    executor: Executor
    count: int = 1

    def open(self, listen: Listen) -> AbstractContextManager[Executor]:
        return nullcontext(self.executor)


class ThisProcess(Workers):
    """Runs each step at once, in this process."""

    count = 1

    def open(self, listen: Listen) -> AbstractContextManager[Executor]:
        return nullcontext(_Inline())

    def submit(self, executor: Executor, step: Step, context: RunContext, listen: Listen) -> Future[StepReport]:
        return executor.submit(work, step, context, step.threads, listen)

    @property
    def ahead(self) -> int:
        return 1


@dataclass
class Processes(Workers):
    """Fresh processes of this machine, each computing with `threads` threads."""

    count: int
    threads: int = 1

    @contextmanager
    def open(self, listen: Listen) -> Iterator[Executor]:
        """A pool whose progress events reach `listen`; it is ended, not awaited, on an error."""
        spawn = multiprocessing.get_context("spawn")
        events: Queue[Event | None] = spawn.Queue()
        pump = threading.Thread(target=_pump, args=(events, listen), daemon=True)
        pump.start()
        with _environment(self.threads):
            pool = ProcessPoolExecutor(self.count, mp_context=spawn, initializer=_start, initargs=(events,))
            try:
                yield pool
                pool.shutdown(wait=True)
            except BaseException:
                running = dict(getattr(pool, "_processes", None) or {})
                pool.shutdown(wait=False, cancel_futures=True)
                for process in running.values():
                    process.terminate()
                raise
            finally:
                events.put(None)
                pump.join(timeout=5)
                events.close()

    def submit(self, executor: Executor, step: Step, context: RunContext, listen: Listen) -> Future[StepReport]:
        """Hand one step over, for which a process may be started: one that Ctrl-C in a terminal does not reach."""
        with _held_back(signal.SIGINT):
            return super().submit(executor, step, context, listen)


@contextmanager
def _held_back(number: signal.Signals) -> Iterator[None]:
    """Hold a signal back from this thread, and for good from processes that it starts, where a system can."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Inline(Executor):
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - the future carries it, as a pool's would
            future.set_exception(error)
        return future


def work(handed: Step | bytes, context: RunContext, threads: int, listen: Listen | None = None) -> StepReport:
    """Run one step, handed over pickled or as it is, with `threads` threads in IEEE float32, and report progress."""
    tell = listen or _tell
    if not context.device.startswith("cuda"):
        set_up()
    if isinstance(handed, bytes):
        # Its classes may come from local files, which another process has to load first.
        load_local_files(context.plugin_files)
        step: Step = pickle.loads(handed)  # from the process that plans, over an executor that pickles itself
    else:
        step = handed

    def progress(done: int, total: int, text: str) -> None:
        tell(Event(step.id, done, total, text))

    with _turn:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            with ieee_float32():
                progress(0, 1, "")
                return run_step(step, context, progress)
        finally:
            torch.set_num_threads(before)


_turn = threading.Lock()
"""Threads, switches, generators and the tracing of torch belong to a process, so steps in its threads take turns."""


_events: Queue[Event | None] | None = None
"""In a worker of `Processes`, the way back to the process that runs the plan."""


def _tell(event: Event) -> None:
    if _events is not None:
        _events.put(event)


def _start(events: Queue[Event | None]) -> None:
    """Prepare a worker process."""
    global _events
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides, where the signal is not held back already
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _events = events


def _end_with_parent() -> None:
    """End with the parent process: a worker whose parent was killed would wait forever."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _pump(events: Queue[Event | None], listen: Listen) -> None:
    while (event := events.get()) is not None:
        listen(event)


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    """What libraries read when a worker imports them; workers times threads must not exceed the cores."""
    wanted = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    wanted |= LIBRARY_SWITCHES
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
