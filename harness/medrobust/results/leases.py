"""Leases: which run is at which step, so that runs that share a store share the work.

A lease is a small object `leases/STEP.N.json`. Creating it needs no lock, only that one of two runs that create an
object of one name is told that it came second. A run renews its leases while it works on their steps. A lease is void

- at once, if its run is of this machine and its process has ended, or
- if nobody has renewed it for `EXPIRES` seconds by the clock of the run that looks at it. No clock of another machine
  is trusted, and none that can be set: only time that passed while this run was looking counts.

Who takes a void lease over creates the one of the next number. Should two runs work on one step all the same (a machine
slept, the storage cannot tell who came second), they do it twice, and the store has its results once.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Final

import psutil
from pydantic import Field, TypeAdapter, ValidationError

from ..errors import LostError, StoreError
from .objects import Objects

FOLDER = "leases"
EXPIRES = 60.0
"""Seconds without a sign of life after which a run of another machine counts as ended."""
RENEWED = 15.0
"""Seconds between two signs of life."""
AT_ONCE = 16
"""Calls of the storage at once: a run on a large cluster has thousands of leases, and a bucket may be far away."""


SWEPT = 256
"""Leases that a run looks at in the end, to remove those of runs that have ended."""
_ended: set[str] = set()
"""Runs of this process that have ended."""


@dataclass(frozen=True)
class Owner:
    """A run.

    Attributes:
        host: name of its machine, for people.
        machine: what tells this start of this machine (or container) from any other.
        pid: its process.
        started: when that process started, in seconds since this machine did; where a system does not say so, since
            the epoch.
        token: drawn at random, for each run of a process.
    """

    host: str
    machine: str
    pid: Annotated[int, Field(ge=0, lt=2**31)]
    started: Annotated[float, Field(allow_inf_nan=False)]
    token: str

    @classmethod
    def of_this_run(cls) -> Owner:
        """A new run of this process."""
        return cls(socket.gethostname(), _machine(), os.getpid(), _started(os.getpid()), secrets.token_hex(8))

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @property
    def has_ended(self) -> bool:
        """Whether it, or its process, is known to have ended; of another machine that is never known."""
        if self.machine != _machine():
            return False
        if self.token in _ended:
            return True
        try:
            # Numbers of processes are given again. Two seconds, as some systems tell the start by a clock that drifts.
            ended = psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE
            return ended or abs(_started(self.pid) - self.started) > 2
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False


@dataclass(frozen=True)
class Lease:
    """What a run says of a step.

    Attributes:
        owner: the run.
        since: when it began, by its own clock, for people.
        beat: how often it has been renewed.
        failed: why the step failed, if it has.
    """

    owner: Owner
    since: str
    beat: int = 0
    failed: str = ""

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Lease | None:
        """The lease; None if this is none."""
        try:
            return _LEASES.validate_json(data)
        except ValidationError:
            return None


_LEASES: Final = TypeAdapter(Lease)


class Leases:
    """The leases of one run. Used as a context, it renews them in the background, and gives back what is left.

    Args:
        objects: of the store.
        owner: the run; a new one of this process if not given.
        expires, renewed: seconds, as above.
        clock: a clock that only runs forward, in seconds.
    """

    def __init__(
        self,
        objects: Objects,
        owner: Owner | None = None,
        *,
        expires: float = EXPIRES,
        renewed: float = RENEWED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.objects = objects
        self.owner = owner or Owner.of_this_run()
        self.expires = expires
        self.renewed = renewed
        self._clock = clock
        self._mine: dict[str, tuple[int, Lease]] = {}
        self._seen: dict[str, tuple[bytes, float]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._calls = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="leases")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_renewing, daemon=True)

    def __enter__(self) -> Leases:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
        # Calls that are under way may take leases still.
        self._calls.shutdown(wait=True)
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="leases") as calls:
            for _ in calls.map(self.give_back, list(self._mine)):
                pass
        _ended.add(self.owner.token)

    def __contains__(self, step: object) -> bool:
        """Whether this run has the lease of a step."""
        return step in self._mine

    def take_all(self, steps: Sequence[str]) -> list[Lease | None]:
        """What `take` gives for each of some steps; of a storage far away, all are asked for at once.

        Never in the thread that calls, where Ctrl-C could come between a lease and the note that this run has it.
        """
        return list(self._calls.map(self.take, steps))

    def take(self, step: str) -> Lease | None:
        """Take the lease of a step; None if this run has it now, else the lease of the run that does."""
        while step not in self._mine:
            number, holder = self._latest(step)
            if holder is not None:
                return holder
            lease = Lease(self.owner, datetime.now(UTC).isoformat(timespec="seconds"))
            if self.objects.create(_name(step, number + 1), lease.to_json()):
                self._mine[step] = (number + 1, lease)
        return None

    def holder(self, step: str) -> Lease | None:
        """The valid lease of another run on a step, if there is one."""
        return self._latest(step)[1]

    def give_back(self, step: str, *, wait: bool = True) -> None:
        """Give the lease of a step back, with the void ones before it; without `wait`, in a moment."""
        with self._lock(step):
            number, _ = self._mine.pop(step)
        if wait:
            self._remove_up_to(step, number)
        else:
            self._calls.submit(self._remove_up_to, step, number)

    def _remove_up_to(self, step: str, number: int) -> None:
        with contextlib.suppress(StoreError):  # it becomes void when this process ends
            for each in range(self._first(step), number + 1):
                self.objects.remove(_name(step, each))

    def mark_failed(self, step: str, reason: str) -> None:
        """Say that a step failed: until this run ends, no other run tries it as well."""
        with self._lock(step):
            number, lease = self._mine[step]
            self._mine[step] = (number, replace(lease, failed=reason))
        self._renew(step)

    def _latest(self, step: str) -> tuple[int, Lease | None]:
        """The last number that was given for a step (-1 if none), and the lease if it is valid."""
        numbers = self._numbers(step)
        if not numbers:
            return -1, None
        name = _name(step, numbers[-1])
        try:
            data = self.objects.read(name)
        except LostError:
            return self._latest(step)
        # What cannot be read may be about to be written, and is nobody's if it stays so.
        lease = Lease.from_json(data) or Lease(Owner("an unknown machine", "", 0, 0.0, ""), "")
        void = self._is_old(name, data) or lease.owner.has_ended
        return numbers[-1], None if void else lease

    def _is_old(self, name: str, data: bytes) -> bool:
        """Whether a lease has not changed for too long, since this run first saw it so."""
        known, since = self._seen.get(name, (b"", 0.0))
        if known != data:
            self._seen[name] = (data, self._clock())
            return False
        return self._clock() - since > self.expires

    def _numbers(self, step: str) -> list[int]:
        names = [found.name.removeprefix(f"{FOLDER}/") for found in self.objects.listing(FOLDER, f"{step}.")]
        return sorted(int(n.split(".")[1]) for n in names if n.split(".")[1].isdecimal())

    def _first(self, step: str) -> int:
        return min(self._numbers(step), default=0)

    def _lock(self, step: str) -> threading.Lock:
        return self._locks.setdefault(step, threading.Lock())

    def _keep_renewing(self) -> None:
        while not self._stop.wait(self.renewed):
            for _ in self._calls.map(self._renew, list(self._mine)):
                pass

    def _renew(self, step: str) -> None:
        with self._lock(step):
            if step not in self._mine:
                return
            number, lease = self._mine[step]
            lease = replace(lease, beat=lease.beat + 1)
            self._mine[step] = (number, lease)
            try:
                self.objects.write(_name(step, number), lease.to_json())
            except StoreError:
                return  # the next time, perhaps; at worst another run takes the step as well


def sweep(objects: Objects) -> None:
    """Remove leases that runs of this machine left behind which have ended, such as one killed after its last step."""

    def look(name: str) -> None:
        with contextlib.suppress(StoreError):
            lease = Lease.from_json(objects.read(name))
            if lease is not None and lease.owner.has_ended:
                objects.remove(name)

    with contextlib.suppress(StoreError), ThreadPoolExecutor(AT_ONCE, thread_name_prefix="leases") as calls:
        for _ in calls.map(look, [found.name for found in objects.listing(FOLDER)[:SWEPT]]):
            pass


def _name(step: str, number: int) -> str:
    return f"{FOLDER}/{step}.{number}.json"


def _started(pid: int) -> float:
    """When a process started: on Linux in seconds since the machine did, which no setting of its clock changes.

    Raises:
        psutil.Error: if there is no such process.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return psutil.Process(pid).create_time()


@cache
def _machine() -> str:
    """Tells this start of this machine, and this container of it, from any other: process numbers belong to it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{socket.gethostname()} {int(psutil.boot_time())}"
