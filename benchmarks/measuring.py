"""Time and memory of contestants, each in a process of its own, in turns; and the names of versions and hardware.

A process of its own gives everybody the memory allocator, the caches and the imports that its users have, and lets the
peak memory be read. Only one process computes at a time; the others wait for a message.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import platform
import re
import statistics
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from contestants import CONTESTANTS, Run, Work
from problems import NETWORKS, Problem, load

LIBRARIES = ("medrobust", "torch", "torchvision", "foolbox", "adversarial-robustness-toolbox", "torchattacks", "numpy")


@dataclass(frozen=True)
class Setting:
    """What all contestants are given.

    Attributes:
        network: name of the network.
        eps: radius (linf) in grey levels of 255.
        work: the attack.
        images: how many are attacked.
        batch_size: images a batch.
        cache: folder of trained networks.
        device: torch device.
        threads: threads of torch.
    """

    network: str
    eps: float
    work: Work
    images: int
    batch_size: int
    cache: Path
    device: str
    threads: int

    def problem(self) -> Problem:
        whole = load(NETWORKS[self.network], cache=self.cache, device=self.device, eps=self.eps)
        return whole.first(self.images, self.batch_size)


@dataclass
class Timing:
    """What one contestant did in one setting.

    Attributes:
        prepare: seconds to set up, once.
        seconds: wall time of each repeat.
        robust_accuracy: of each repeat, by the original module.
        memory: peak in bytes above what its process held with the problem loaded and the library imported.
    """

    prepare: float
    seconds: list[float] = field(default_factory=list)
    robust_accuracy: list[float] = field(default_factory=list)
    memory: int = 0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def accuracy(self) -> float:
        return statistics.fmean(self.robust_accuracy)


class Booth:
    """A contestant in a process of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(name, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, *message: Any) -> None:
        """Send a message; `answer` waits for what comes of it."""
        self._pipe.send(message)

    def answer(self) -> Any:
        """What came of the last message.

        Raises:
            RuntimeError: with what went wrong in the process.
        """
        try:
            good, answer = self._pipe.recv()
        except EOFError:
            raise RuntimeError(f"{self.name}: its process ended, for lack of memory perhaps") from None
        if not good:
            raise RuntimeError(f"{self.name}: {answer}")
        return answer

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join()


def in_turns(
    booths: Mapping[str, Booth],
    setting: Setting,
    repeats: int,
    done: Callable[[str, int, float], None] = lambda name, repeat, seconds: None,
) -> dict[str, Timing]:
    """Time contestants in turns (A, B, C, A, B, C, ...), so that a slow minute of the machine meets all of them.

    Repeat r has seed r for everybody, and begins with another contestant than the repeat before.
    """
    timings: dict[str, Timing] = {}
    for name, booth in booths.items():
        booth.ask("prepare", setting)
        timings[name] = Timing(booth.answer())
    names: Sequence[str] = list(booths)
    for repeat in range(repeats):
        turn = repeat % len(names)
        for name in [*names[turn:], *names[:turn]]:
            booths[name].ask("run", repeat)
            seconds, accuracy, memory = booths[name].answer()
            timing = timings[name]
            timing.seconds.append(seconds)
            timing.robust_accuracy.append(accuracy)
            timing.memory = max(timing.memory, memory)
            done(name, repeat, seconds)
    return timings


def _serve(name: str, pipe: Connection) -> None:
    """The process of a booth: prepare and run until the pipe is closed."""
    warnings.simplefilter("ignore")  # third parties' deprecations
    stand = _Stand(name)
    while True:
        try:
            order, argument = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((True, stand.prepare(argument) if order == "prepare" else stand.run(argument)))
        except Exception:  # noqa: BLE001 - whatever a library raises, the table should say where
            pipe.send((False, traceback.format_exc()))


class _Stand:
    """One contestant inside its process."""

    _problem: Problem
    _run: Run

    def __init__(self, name: str) -> None:
        self.make = CONTESTANTS[name]
        self._before = 0

    def prepare(self, setting: Setting) -> float:
        """Load the problem, warm up on one batch for two steps, then set up; seconds of the last."""
        torch.set_num_threads(setting.threads)
        self._problem = setting.problem()
        one = self._problem.first(setting.batch_size, setting.batch_size)
        self.make(one, replace(setting.work, steps=2))(0)
        _release()
        self._before = _reset_peak(self._problem)
        begun = time.perf_counter()
        self._run = self.make(self._problem, setting.work)
        return time.perf_counter() - begun

    def run(self, seed: int) -> tuple[float, float, int]:
        """Seconds, robust accuracy and peak memory so far."""
        gc.collect()
        begun = time.perf_counter()
        adversarial = self._run(seed)
        if self._problem.device.type == "cuda":
            torch.cuda.synchronize(self._problem.device)
        seconds = time.perf_counter() - begun
        memory = _peak(self._problem) - self._before
        return seconds, self._problem.robust_accuracy(adversarial), memory


def _release() -> None:
    """Give free memory back, so that the next figure begins at what is in use."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    ctypes.CDLL("libc.so.6").malloc_trim(0)


def _reset_peak(problem: Problem) -> int:
    """Set the peak back to what is held now, and return that, in bytes."""
    if problem.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(problem.device)
        return torch.cuda.memory_allocated(problem.device)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak(problem: Problem) -> int:
    if problem.device.type == "cuda":
        return torch.cuda.max_memory_allocated(problem.device)
    return _status("VmHWM")


def _status(key: str) -> int:
    """A figure of this process in bytes, as Linux counts it."""
    match = re.search(rf"^{key}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1]) * 1024


def versions() -> str:
    """Python and the libraries compared."""
    return f"Python {platform.python_version()}, " + ", ".join(f"{n} {version(n)}" for n in LIBRARIES)


def hardware(device: str, threads: int) -> str:
    """Processor, what torch uses of it, and threads; the GPU if it is used."""
    info = Path("/proc/cpuinfo")
    match = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    name = match[1] if match else platform.processor() or platform.machine()
    text = f"{name} ({torch.backends.cpu.get_cpu_capability()}, {threads} threads)"
    return f"{torch.cuda.get_device_name(device)}; {text}" if device.startswith("cuda") else text
