"""Steps on the workers of Dask: a cluster that is there, or one on this machine."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from ...errors import ExecutorError, WorkerLostError
from ...results.store import Store
from ..context import RunContext, cores
from ..steps import History, Step, StepReport
from .estimate import recorded
from .executors import Event, Listen, Workers, work
from .parcels import Parcel, Terms, UnfitWorkerError, about, parcel_of, terms_of, unpacked

if TYPE_CHECKING:
    from distributed import Client

MEMORY, GPU = "MEMORY", "GPU"
"""Resources of workers that steps take, where the workers declare them (`dask worker --resources "MEMORY=16e9"`)."""
LEAST_AHEAD = 16
"""Steps handed to a cluster at once at least: one that grows with its load has to see some."""
LOOKED = 5.0
"""Seconds for which the number of workers is believed."""
TOLD = 1.0
"""Seconds between two lines of progress of one worker."""
TIMEOUT = 30.0
"""Seconds to wait for a scheduler."""


@dataclass
class Dask(Workers):
    """Workers of Dask (the extra `dask`).

    A worker that is lost has its step run again on another one, by Dask; nothing else is repeated.

    Args:
        address: of a scheduler (`tcp://HOST:PORT`, `tls://HOST:PORT`) or the file that one has written (`FILE.json`);
            empty for a scheduler and workers on this machine, which end with the run.
        processes: workers on this machine, where the address is empty; one per core if not given.
        device: torch device of the workers; the driver's if empty, `auto` for what each of them has.
        say: takes a line for people, such as that no worker has come yet.
    """

    address: str = ""
    processes: int | None = None
    device: str = ""
    say: Callable[[str], None] = lambda line: None
    remote: ClassVar[bool] = True
    lost = ()  # Dask itself runs the steps of a lost worker again
    _run: _Run | None = field(default=None, init=False, repr=False)
    _context: RunContext | None = field(default=None, init=False, repr=False)

    @property
    def count(self) -> int:  # type: ignore[override]
        """Steps that run at once, by the number of workers a moment ago."""
        return self._run.workers if self._run else 0

    @property
    def ahead(self) -> int:
        """Two for each worker, so that none waits for the next."""
        return max(2 * self.count, LEAST_AHEAD if self.address else 1)

    @contextmanager
    def open(self, listen: Listen) -> Iterator[Executor]:
        """Connect, or start a cluster.

        Raises:
            ExecutorError: if Dask is not installed, or no scheduler answers.
        """
        with _connected(self.address, self.processes or cores()) as client:
            self._run = _Run(client, listen, self)
            try:
                yield client.get_executor(pure=False)
            finally:
                self._run.close()
                self._run = None

    def submit(self, executor: Executor, step: Step, context: RunContext, listen: Listen) -> Future[StepReport]:
        assert self._run is not None
        return self._run.submit(executor, step, context)


class _Run:
    """What is known while connected: the terms of the run, the workers, and which steps they are at."""

    def __init__(self, client: Client, listen: Listen, asked: Dask) -> None:
        self.client = client
        self._listen = listen
        self._asked = asked
        self._terms: Terms | None = None
        self._resources: dict[str, float] = {}
        self._history = History()
        self._looked = float("-inf")
        self._workers = 0
        self._under_way: set[str] = set()
        self._numbers = itertools.count()
        self._closing = ExitStack()

    @property
    def workers(self) -> int:
        if time.monotonic() - self._looked > LOOKED:
            self._look()
        return self._workers

    def _look(self) -> None:
        known: dict[str, Any] = dict(self.client.scheduler_info(n_workers=-1)["workers"])
        self._workers, self._looked = len(known), time.monotonic()
        for each in known.values():
            for name, amount in each.get("resources", {}).items():
                self._resources[name] = max(self._resources.get(name, 0.0), amount)

    def submit(self, executor: Executor, step: Step, context: RunContext) -> Future[StepReport]:
        """Hand a step over, with what it needs."""
        terms = self._terms or self._begin(context)
        key = f"{step.kind}-{step.id[:12]}-{terms.topic[-4:]}{next(self._numbers)}"
        self._under_way.add(step.id)
        options: dict[str, Any] = {"key": key, "resources": self._needs(step, terms)}
        handed: Future[StepReport] = executor.submit(serve, parcel_of(step, terms), **options)
        answer: Future[StepReport] = Future()

        def pass_on(done: Future[StepReport]) -> None:
            self._under_way.discard(step.id)
            if not answer.set_running_or_notify_cancel():
                return  # the run was stopped, and waits for nothing
            try:
                answer.set_result(done.result())
            except BaseException as error:  # noqa: BLE001 - passed on
                answer.set_exception(self._explained(error, step))

        handed.add_done_callback(pass_on)
        return answer

    def _begin(self, context: RunContext) -> Terms:
        """Settle the terms with the workers that are there; those that come later settle them with their first step."""
        self._terms = self._closing.enter_context(terms_of(context, self._asked.device))
        self.client.subscribe_topic(self._terms.topic, self._hear)
        self._look()
        if MEMORY in self._resources:
            self._history = recorded(Store(context.store))
        if not self._workers:
            self._asked.say(f"{self._place} has no workers yet; steps wait for the first")
            return self._terms
        answers: dict[str, Any] = self.client.run(about, self._terms, on_error="return")
        unfit = {worker: answer for worker, answer in answers.items() if isinstance(answer, BaseException)}
        if unfit:
            raise ExecutorError("\n".join(_why(error, worker) for worker, error in unfit.items()))
        here = about(self._terms)
        others = {f"{name} {v[name]}" for v in answers.values() for name in v if v[name] != here.get(name)}
        if others:
            told = ", ".join(f"{name} {version}" for name, version in here.items())
            self._asked.say(f"workers have {', '.join(sorted(others))}; here is {told}: last bits of logits may differ")
        return self._terms

    def _needs(self, step: Step, terms: Terms) -> dict[str, float]:
        """What a step takes of the resources that workers declare; what none declares, no step waits for."""
        needs: dict[str, float] = {}
        if GPU in self._resources and terms.context.device != "cpu":
            needs[GPU] = 1
        if MEMORY in self._resources and not terms.context.device.startswith("cuda"):
            needs[MEMORY] = min(step.memory(self._history) or 0, self._resources[MEMORY])
        return needs

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        facts = event[1]
        told = Event(facts["step"], facts["done"], facts["total"], facts["text"])
        if told.step in self._under_way:
            self._listen(told)

    def _explained(self, error: BaseException, step: Step) -> BaseException:
        """What an error of Dask means for people."""
        from distributed import KilledWorker

        if isinstance(error, CancelledError):
            return ExecutorError(
                f"{self._place} is gone; what finished steps wrote is in the store, and the same command goes on "
                "with the rest once a scheduler is there"
            )
        if isinstance(error, KilledWorker):
            times = error.allowed_failures + 1
            return WorkerLostError(
                f"{step.describe()}: the {times} workers that were at it died, the last one {error.last_worker.address}"
                ", perhaps because memory ran out; their logs may tell, and workers with more memory may help"
            )
        if isinstance(error, ImportError | AttributeError):
            return ExecutorError(_why(error, "a worker"))
        return error

    @property
    def _place(self) -> str:
        return f"the scheduler {self._asked.address}" if self._asked.address else "the scheduler on this machine"

    def close(self) -> None:
        """Forget the terms, and what was handed over and is not done."""
        self._closing.close()


def serve(parcel: Parcel) -> StepReport:
    """On a worker: run the step in a parcel, and tell its progress."""
    step, context = unpacked(parcel)
    return work(step, context, step.threads, _Teller(parcel.terms.topic))


class _Teller:
    """Tells a run, through the scheduler, how far a step is; not more often than people read."""

    def __init__(self, topic: str) -> None:
        from distributed import get_worker

        self._worker = get_worker()
        self._topic = topic
        self._last = float("-inf")

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if now - self._last >= TOLD:
            self._last = now
            facts = {"step": event.step, "done": int(event.done), "total": int(event.total), "text": event.text}
            self._worker.log_event(self._topic, facts)


@contextmanager
def _connected(address: str, processes: int) -> Iterator[Client]:
    """A client of a scheduler; without an address, of one on this machine, which ends with it."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ExecutorError(
            "--executor dask needs Dask, which is not installed; pip install 'medrobust[dask]' does"
        ) from None
    if not address:
        # As with processes of our own, memory is the user's affair: a limit would end workers that are well.
        with (
            LocalCluster(
                processes, threads_per_worker=1, memory_limit=0, dashboard_address=None, silence_logs=logging.ERROR
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    given = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    try:
        client = Client(**given, timeout=TIMEOUT)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise ExecutorError(
            f"--address {address}: no scheduler answers ({type(error).__name__}: {error}); `dask scheduler` starts one"
        ) from None
    try:
        yield client
    finally:
        with suppress(OSError, TimeoutError):  # the scheduler may be gone
            client.close(timeout=5)


def is_open(address: str) -> bool:
    """Whether an address is of another machine, over a connection that is not encrypted."""
    parts = urlsplit(address)
    return parts.scheme == "tcp" and (parts.hostname or "") not in ("localhost", "127.0.0.1", "::1")


def _why(error: BaseException, worker: str) -> str:
    """What is wrong with a worker, by what it answered."""
    if isinstance(error, UnfitWorkerError):
        return str(error)
    return (
        f"worker {worker}: {type(error).__name__}: {error}; it needs medrobust of this version, with the same plugins, "
        "in its Python environment"
    )
