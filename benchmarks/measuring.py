"""Timing in turns, peak memory in a process of its own, and the names of versions and hardware."""

from __future__ import annotations

import gc
import json
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import torch
from contestants import CONTESTANTS, Run, Work
from problems import NETWORKS, Problem, load

LIBRARIES = ("medrobust", "torch", "torchvision", "foolbox", "adversarial-robustness-toolbox", "torchattacks", "numpy")


@dataclass
class Timing:
    """What one contestant did on one problem.

    Attributes:
        seconds: wall time of each repeat.
        robust_accuracy: of each repeat, by the original module.
        prepare: seconds to set up, once.
    """

    prepare: float
    seconds: list[float] = field(default_factory=list)
    robust_accuracy: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def accuracy(self) -> float:
        return statistics.fmean(self.robust_accuracy)


def in_turns(
    problem: Problem,
    entrants: Mapping[str, Callable[[Problem], Run]],
    warm_up: Mapping[str, Callable[[Problem], Run]],
    repeats: int,
    done: Callable[[str, int, float], None] = lambda name, repeat, seconds: None,
) -> dict[str, Timing]:
    """Time contestants in turns (A, B, C, A, B, C, ...), so that a slow minute of the machine meets all of them.

    All run in this process, with the same threads and the same memory behind them. Repeat r has seed r for everybody,
    and starts with another contestant than the repeat before.

    Args:
        problem: what is attacked.
        entrants: makers of the contestants.
        warm_up: makers of the same contestants for a shorter run, made and run once on one batch before any is timed.
        repeats: how often.
        done: called with (name, repeat, seconds) after each run.
    """
    first = Problem(
        problem.module,
        problem.images[: problem.batch_size],
        problem.labels[: problem.batch_size],
        problem.classes,
        problem.budget,
        problem.batch_size,
    )
    runs: dict[str, Run] = {}
    timings: dict[str, Timing] = {}
    for name, make in entrants.items():
        warm_up[name](first)(0)
        begun = time.perf_counter()
        runs[name] = make(problem)
        timings[name] = Timing(time.perf_counter() - begun)
    names = list(runs)
    for repeat in range(repeats):
        for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
            gc.collect()
            _finish(problem)
            begun = time.perf_counter()
            adversarial = runs[name](repeat)
            _finish(problem)
            seconds = time.perf_counter() - begun
            timings[name].seconds.append(seconds)
            timings[name].robust_accuracy.append(problem.robust_accuracy(adversarial))
            done(name, repeat, seconds)
    return timings


def _finish(problem: Problem) -> None:
    if problem.device.type == "cuda":
        torch.cuda.synchronize(problem.device)


def memory_of(network: str, name: str, work: Work, batch_size: int, cache: Path, device: str, threads: int) -> int:
    """Peak memory of one contestant in bytes, above what its own process holds with the problem loaded.

    Two batches are attacked for few steps: a step needs the memory of the one before.
    """
    request = json.dumps(
        [network, name, work.kind, work.steps, work.step_size, batch_size, str(cache), device, threads]
    )
    command = [sys.executable, str(Path(__file__).resolve()), request]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"the memory of {name} on {network} could not be measured: {answer.stderr.strip()[-500:]}")
    return int(answer.stdout.split()[-1])


def _measure_memory(request: str) -> int:
    network, name, kind, steps, step_size, batch_size, cache, device, threads = json.loads(request)
    torch.set_num_threads(threads)
    problem = load(NETWORKS[network], cache=Path(cache), device=device)
    keep = slice(0, 2 * batch_size)
    few = Problem(
        problem.module, problem.images[keep], problem.labels[keep], problem.classes, problem.budget, batch_size
    )
    work = Work(kind, steps, step_size)
    # Imports of a library are not the attack's memory: a tiny run of a tiny network brings them in first.
    tiny = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(problem.images[0].numel(), problem.classes))
    one = Problem(tiny.to(device), few.images[:1], few.labels[:1], problem.classes, problem.budget, 1)
    CONTESTANTS[name](one, Work(kind, 1, step_size))(0)
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        CONTESTANTS[name](few, work)(0)
        return torch.cuda.max_memory_allocated(device) - before
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is held now
    before = _status("VmRSS")
    CONTESTANTS[name](few, work)(0)
    return _status("VmHWM") - before


def _status(key: str) -> int:
    """A figure of this process in bytes, as Linux counts it."""
    match = re.search(rf"^{key}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1]) * 1024


def versions() -> str:
    """Python and the libraries compared."""
    return f"Python {platform.python_version()}, " + ", ".join(f"{n} {version(n)}" for n in LIBRARIES)


def hardware(device: str) -> str:
    """Processor, what torch uses of it, and threads; the GPU if there is one."""
    info = Path("/proc/cpuinfo")
    match = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    name = match[1] if match else platform.processor() or platform.machine()
    capability = torch.backends.cpu.get_cpu_capability()
    text = f"{name} ({capability}, {torch.get_num_threads()} threads)"
    return f"{torch.cuda.get_device_name(device)}; {text}" if device.startswith("cuda") else text


if __name__ == "__main__":
    print(_measure_memory(sys.argv[1]))
