"""A run of 100,000 steps on up to 10,000 workers, simulated with the costs of `costs.json`; writes `simulation.png`.

    uv run python benchmarks/simulation.py [--steps 100000] [--seed 0]

One driver hands steps out and closes them, one scheduler of Dask passes them on, workers read, compute and write. The
driver and the scheduler do one thing at a time, but for calls of the store about leases: the driver makes 16 at once. A
folder, as one disk that flushes every write, serves one call at a time, a bucket all of them. `TAKE` to `AFTER` count
the calls that the code makes for each step.
"""

from __future__ import annotations

import argparse
import heapq
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
WORKERS = (10, 100, 300, 1000, 3000, 10000)
MODELS = 50
"""Models of the plan: what the folders `fits` and `tensors` hold."""
ROUND_TRIP = 0.03
"""Seconds that a bucket elsewhere adds to each call: assumed, as nothing here can measure one."""
TAKE, GIVE_BACK = {"list": 1, "create": 1}, {"list": 1, "remove": 1}
"""Calls of the driver for the lease of a step."""
BEFORE, AFTER = {"read": 5, "list": 7}, {"list": 3, "write": 2}
"""Calls of a worker, by counting those of a step that attacks; two of the listings afterwards are of large folders."""
LOOK, CHEAP, AT_ONCE, RENEWED, EXPIRES = 0.1, 0.25, 16, 15.0, 60.0
"""The share of its time that a driver looks around, at most, where a look takes more than these seconds; its calls
about leases at once; seconds of leases."""


@dataclass
class Queue:
    """Something that serves one at a time, or all at once."""

    serial: bool = True
    free: float = 0.0
    busy: float = 0.0

    def serve(self, at: float, seconds: float) -> float:
        """When what comes at a time has been served."""
        self.busy += seconds
        if not self.serial:
            return at + seconds
        self.free = max(self.free, at) + seconds
        return self.free


@dataclass
class Result:
    """Of one run.

    Attributes:
        seconds: until the last step was closed.
        shares: of the workers' time: computing, at the store, waiting for a step.
        driver, scheduler, store: shares of the run in which they are busy; of a bucket, calls under way on average.
        renewal: seconds in which all leases are renewed once.
    """

    seconds: float
    shares: dict[str, float]
    driver: float
    scheduler: float
    store: float
    renewal: float


@dataclass
class Simulation:
    """One run.

    Args:
        costs: seconds of each call of the store.
        driver: seconds of packing a step, of Dask for a task, and of waiting for steps, for each under way.
        times: seconds of each step.
        workers: their number.
        serial: whether the store serves one call at a time.
        frugal: whether the driver looks around in a tenth of its time at most and makes calls about leases at once;
            else, as it once was, it looks before each step, and reads what came of it.
    """

    costs: Mapping[str, float]
    driver: Mapping[str, float]
    times: np.ndarray[Any, np.dtype[np.float64]]
    workers: int
    serial: bool
    frugal: bool = True
    _events: list[tuple[float, int, str, int]] = field(default_factory=list)
    _count: int = 0

    def run(self) -> Result:
        """Until all steps are done."""
        hands, dask, store = Queue(), Queue(), Queue(self.serial)
        waiting: deque[int] = deque()
        idle, handed, done, looked = self.workers, 0, 0, 0.0
        in_store = computing = 0.0
        ahead = 2 * self.workers
        outstanding = now = 0.0

        def hand_out(at: float) -> None:
            nonlocal handed, looked
            look = self._look(done)
            # Steps that are handed out together are looked up together.
            alone = hands.free <= at
            if not self.frugal or (look <= CHEAP and alone) or at - looked >= look * (1 / LOOK - 1):
                at = hands.serve(at, look)
                looked = at
            at = hands.serve(at, self.driver["pack"] + self._calls(TAKE, 0) / self._at_once)
            self._at(dask.serve(at, self.driver["dask"]), "arrives", handed)
            handed += 1

        def begin(at: float, step: int) -> None:
            nonlocal in_store
            ready = store.serve(at, self._calls(BEFORE, MODELS))
            in_store += ready - at
            self._at(ready + self.times[step], "computed", step)

        while handed < min(ahead, len(self.times)):
            hand_out(0.0)
        while self._events:
            now, _, what, step = heapq.heappop(self._events)
            if what == "arrives" and idle:
                idle -= 1
                begin(now, step)
            elif what == "arrives":
                waiting.append(step)
            elif what == "computed":
                computing += self.times[step]
                end = store.serve(now, self._calls(AFTER, 0) + 2 * self.costs["find_each"] * done)
                in_store += end - now
                self._at(end, "written", step)
            elif what == "written":
                if waiting:
                    begin(now, waiting.popleft())
                else:
                    idle += 1
                self._at(now, "told", step)
            else:
                done += 1
                # Steps that end while the driver is busy are found by one look.
                hands.serve(now, self.driver["wait_each"] * (handed - done) if hands.free <= now else 0.0)
                read = 0.0 if self.frugal else 2 * self.costs["read"]
                now = hands.serve(now, self._calls(GIVE_BACK, 0) / self._at_once + read)
                outstanding = max(outstanding, handed - done)
                if handed < len(self.times):
                    hand_out(now)
        seconds = max(now, hands.free)
        all_time = self.workers * seconds
        shares = {"computing": computing / all_time, "store": in_store / all_time}
        shares["waiting"] = 1 - sum(shares.values())
        renewal = max(RENEWED, outstanding * self.costs["write"] / self._at_once)
        return Result(seconds, shares, hands.busy / seconds, dask.busy / seconds, store.busy / seconds, renewal)

    @property
    def _at_once(self) -> int:
        """A folder serves one call at a time, however many come."""
        return AT_ONCE if self.frugal and not self.serial else 1

    def _at(self, time: float, what: str, step: int) -> None:
        self._count += 1
        heapq.heappush(self._events, (time, self._count, what, step))

    def _calls(self, calls: Mapping[str, int], files: int) -> float:
        """Seconds of calls of the store, of which listings are of folders with so many files."""
        listed = calls.get("list", 0) * self.costs["list_each"] * files
        return listed + sum(number * self.costs[name] for name, number in calls.items())

    def _look(self, done: int) -> float:
        """Seconds of looking around: four listings, of which that of the cells is large."""
        return 4 * self.costs["list"] + self.costs["list_each"] * (done + MODELS)


def stores(measured: Mapping[str, Any]) -> dict[str, tuple[dict[str, float], bool]]:
    """The costs of each kind of store, and whether it serves one call at a time."""
    bucket = measured["bucket"]
    # A thousand names come with one answer, so each of them adds a thousandth of a round trip.
    trips = {name: 2 * ROUND_TRIP if name == "read" else ROUND_TRIP for name in ("read", "write", "create", "remove")}
    trips |= {"list": ROUND_TRIP, "list_each": ROUND_TRIP / 1000, "find_each": 0.0}
    far = {name: value + trips[name] for name, value in bucket.items()} | {"find_each": 0.0}
    return {
        "folder on one disk": (measured["folder"], True),
        "bucket, as measured on loopback": ({**bucket, "find_each": 0.0}, False),
        "bucket, 30 ms away": (far, False),
    }


def draw(results: Mapping[str, Mapping[int, Result]], file: Path) -> None:
    """Efficiency over the number of workers for each store, and where the time of 1,000 workers goes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    for (name, found), marker in zip(results.items(), "osd^", strict=False):
        left.plot(list(found), [100 * r.shares["computing"] for r in found.values()], marker=marker, label=name)
    left.set(xscale="log", xlabel="workers", ylabel="% of the workers' time that computes", ylim=(0, 103))
    left.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0.0, 0.12))
    left.grid(alpha=0.3)
    names, bottom = list(results), np.zeros(len(results))
    for part, colour in (("computing", "#4477aa"), ("store", "#ccbb44"), ("waiting", "#bbbbbb")):
        values = np.array([100 * results[name][1000].shares[part] for name in names])
        right.barh(names, values, left=bottom, color=colour, label=part)
        bottom += values
    right.set(xlabel="% of the time of 1,000 workers", xlim=(0, 100))
    right.set_yticks(range(len(names)), [name.replace(", ", ",\n") for name in names], fontsize=9)
    right.invert_yaxis()
    right.legend(frameon=False, fontsize=9, ncols=3, loc="lower center", bbox_to_anchor=(0.4, 1.0))
    figure.savefig(file, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    measured = json.loads((HERE / "costs.json").read_text())
    at = np.random.default_rng(asked.seed).random(asked.steps)
    times = np.interp(at, measured["steps"]["at"], measured["steps"]["seconds"])
    print(f"{asked.steps} steps, {times.mean():.1f} s on average, {times.sum() / 3600:.0f} hours on one worker")
    kinds = stores(measured)
    kinds["bucket, 30 ms away, before the changes"] = kinds["bucket, 30 ms away"]
    results: dict[str, dict[int, Result]] = {}
    print("| store | workers | hours | computing | store | waiting | driver busy | Dask busy | leases renewed in |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, (costs, serial) in kinds.items():
        for workers in WORKERS:
            frugal = "before" not in name
            found = Simulation(costs, measured["driver"], times, workers, serial, frugal).run()
            results.setdefault(name, {})[workers] = found
            shares = " | ".join(f"{100 * share:.1f} %" for share in found.shares.values())
            late = " (void)" if found.renewal > EXPIRES else ""
            print(
                f"| {name} | {workers:,} | {found.seconds / 3600:.2f} | {shares} | {100 * found.driver:.0f} % | "
                f"{100 * found.scheduler:.0f} % | {found.renewal:.0f} s{late} |",
                flush=True,
            )
    draw(results, HERE / "simulation.png")


if __name__ == "__main__":
    main()
