"""How much faster two workers of Dask are than one: equal steps, each worker on a core of its own.

    uv run --extra dask python benchmarks/cluster.py [--steps 16] [--repeats 3]

Workers are processes on loopback that have computed before they are timed. Exit status 0 if two give 1.7 times the
throughput of one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from distributed import Client

from medrobust.api import Dask, Session

REQUIRED = 1.7
MODEL = {
    "dataset": {"name": "phantom-derm", "size": 32},
    "model": {"name": "small-cnn", "recipe": {"epochs": 1}},
    "train_set": "train[:200]",
    "attack": {"name": "pgd", "steps": 40},
}


@contextmanager
def cluster(workers: int, folder: Path) -> Iterator[str]:
    """A scheduler and workers, each worker bound to one core."""
    file = folder / "scheduler.json"
    run = [sys.executable, "-m"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    started = [subprocess.Popen([*run, "distributed.cli.dask_scheduler", *options], **quiet)]  # type: ignore[call-overload]
    while not file.exists():
        time.sleep(0.1)
    options = ["--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    for core in sorted(os.sched_getaffinity(0))[:workers]:
        worker = subprocess.Popen([*run, "distributed.cli.dask_worker", *options], **quiet)  # type: ignore[call-overload]
        psutil.Process(worker.pid).cpu_affinity([core])
        started.append(worker)
    try:
        with Client(scheduler_file=str(file)) as client:
            client.wait_for_workers(workers, timeout=120)
        yield str(file)
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def seconds(workers: int, steps: int) -> float:
    """Of a grid of equal steps, after each worker has fitted or read the model once."""
    with tempfile.TemporaryDirectory() as name, cluster(workers, Path(name)) as address:
        session = Session(Path(name) / "store", device="cpu", executor=Dask(address))
        warm = [f"linf:{number}/2550" for number in range(1, 4 * workers + 1)]
        assert session.run(session.plan({"grid": [{**MODEL, "budget": warm}]})).complete
        timed = session.plan({"grid": [{**MODEL, "budget": [f"linf:{number}/255" for number in range(1, steps + 1)]}]})
        outcome = session.run(timed)
        assert outcome.complete
        assert outcome.steps == steps
        return outcome.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    taken: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(asked.repeats):
        for workers, times in taken.items():
            times.append(seconds(workers, asked.steps))
    one, two = (statistics.median(taken[workers]) for workers in (1, 2))
    print(f"{asked.steps} steps: {one:.1f} s on one worker, {two:.1f} s on two: {one / two:.2f} times the throughput")
    print(f"all times: {taken}; load of the machine: {os.getloadavg()[0]:.1f}")
    sys.exit(0 if one / two >= REQUIRED else 1)


if __name__ == "__main__":
    main()
