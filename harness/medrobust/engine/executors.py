"""Where steps run: anything shaped like `concurrent.futures.Executor`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import torch

from ..grid.plan import Step
from ..plugins.registry import Registry
from .context import RunContext
from .process import set_up
from .steps import Report, run_step


@dataclass(frozen=True)
class Event:
    """Something a running step tells: what it does and how far it is."""

    step: str
    done: int
    total: int
    text: str


Listen = Callable[[Event], None]
_events: Queue[Event | None] | None = None


class InlineExecutor(Executor):
    """Runs each call at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - the future carries it, as a pool's would
            future.set_exception(error)
        return future


def work(step: Step, context: RunContext, threads: int, listen: Listen | None = None) -> Report:
    """Run one step with `threads` threads and report its progress."""

    def progress(done: int, total: int, text: str) -> None:
        event = Event(step.id, done, total, text)
        if listen is not None:
            listen(event)
        elif _events is not None:
            _events.put(event)

    if not context.device.startswith("cuda"):
        set_up()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        progress(0, 1, "")
        return run_step(step, context, progress)
    finally:
        torch.set_num_threads(before)


def _start(events: Queue[Event | None], files: tuple[Path, ...]) -> None:
    """Prepare a worker process: plugins of local files must be there before a step that uses them arrives."""
    global _events
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _events = events
    # Installed plugins are imported when a step that needs them arrives; all of them would take seconds.
    registry = Registry()
    for file in files:
        registry.load_file(file)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for its next step for ever."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


@contextmanager
def process_pool(workers: int, files: tuple[Path, ...], listen: Listen) -> Iterator[ProcessPoolExecutor]:
    """A pool of fresh processes whose progress events reach `listen`; the pool is ended, not awaited, on an error."""
    spawn = multiprocessing.get_context("spawn")
    events: Queue[Event | None] = spawn.Queue()
    pump = threading.Thread(target=_pump, args=(events, listen), daemon=True)
    pump.start()
    pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_start, initargs=(events, files))
    try:
        yield pool
        pool.shutdown(wait=True)
    except BaseException:
        processes = list(getattr(pool, "_processes", None) or ())
        running = getattr(pool, "_processes", None) or {}
        pool.shutdown(wait=False, cancel_futures=True)
        for pid in processes:
            running[pid].terminate()
        raise
    finally:
        events.put(None)
        pump.join(timeout=5)
        events.close()


def _pump(events: Queue[Event | None], listen: Listen) -> None:
    while (event := events.get()) is not None:
        listen(event)
