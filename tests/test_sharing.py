"""Two runs on one store: together they do each step once; what a killed one was at, the other does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from medrobust.api import Outcome, Record, Session, Store
from medrobust.engine import computing
from medrobust.engine.running.arrivals import Arrivals
from medrobust.results.leases import FOLDER, Leases
from medrobust.results.objects import LocalObjects

TESTS = Path(__file__).parent
LIMIT = 240.0
GRID = """
[[grid]]
dataset = "textures"
model = "tiny-net"
attack = ["one-for-all", { name = "steps", steps = [1, 4] }, "watched"]
budget = ["linf:1/255", "linf:4/255", "linf:8/255"]
seed = [0, 1]
"""
STEPS = 2 + 2 + 3 * 2 + 3 * 3 * 2
"""Models, clean records, universal perturbations, and three attacks with three budgets, each for two seeds."""
WATCHED = '''
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from medrobust import Attack, ThreatModel


@dataclass(frozen=True)
class Watched(Attack):
    """Writes down that it runs; the first to do so in a folder with a file `trap` never ends."""

    name: ClassVar[str] = "watched"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def perturb(self, classifier, images, goal, budget, rng):
        folder = Path(os.environ["WATCHED"])
        with (folder / "log").open("a") as log:
            log.write(f"{os.getpid()} {float(budget.eps):.6f} {classifier.logits(images).sum():.6f}\\n")
        try:
            (folder / "trap").rename(folder / "sprung")
        except FileNotFoundError:
            time.sleep(0.3)
        else:
            time.sleep(600)
        return (images - budget.eps).clamp(0, 1)
'''

Start = Callable[[], subprocess.Popen[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "grid.toml").write_text(GRID)
    (tmp_path / "watched_attack.py").write_text(WATCHED)
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Start the program on a store of this test, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "medrobust.cli",
        "run",
        "grid.toml",
        "--store",
        "store",
        "--workers",
        "1",
        "--no-evidence",
    ]
    command += ["--device", "cpu", "--plugin", str(TESTS / "tiny.py"), "--plugin", "watched_attack.py"]
    started: list[subprocess.Popen[str]] = []

    def run() -> subprocess.Popen[str]:
        environment = {**os.environ, "WATCHED": str(folder)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        started.append(subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes))  # type: ignore[call-overload]
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Record]]:
    """The records of a run that had a store for itself."""

    def run() -> dict[str, Record]:
        (folder / "elsewhere").mkdir()
        monkeypatch.setenv("WATCHED", str(folder / "elsewhere"))
        session = session_on(folder, "alone")
        outcome = session.run(session.plan(folder / "grid.toml"))
        assert (outcome.complete, outcome.steps, outcome.steps_elsewhere) == (True, STEPS, 0)
        return records(session.store)

    return run


def session_on(folder: Path, store: str) -> Session:
    return Session(folder / store, (TESTS / "tiny.py", folder / "watched_attack.py"), device="cpu", workers=1)


def records(store: Store) -> dict[str, Record]:
    return dict(store.records(list(store.cells([]).index)))


def assert_equal(some: dict[str, Record], others: dict[str, Record]) -> None:
    assert some.keys() == others.keys()
    for cell, record in some.items():
        for field in ("ids", "labels", "groups", "clean", "adversarial", "l2", "linf"):
            assert np.array_equal(getattr(record, field), getattr(others[cell], field)), (cell, field)


def steps_told(text: str) -> tuple[int, int]:
    """How many steps a run did itself, and how many it left to others, by what it printed in the end."""
    shared = re.search(r"(\d+) steps? run here, (\d+) by other runs", text)
    return (int(shared[1]), int(shared[2])) if shared else (STEPS, 0)


@pytest.mark.long
def test_two_runs_do_each_step_once(folder: Path, start: Start, alone: Callable[[], dict[str, Record]]) -> None:
    told = [process.communicate(timeout=LIMIT)[0] for process in (start(), start())]
    done = [steps_told(text) for text in told]
    assert sum(here for here, _ in done) == STEPS, told
    assert all(here > 0 for here, _ in done), "neither did all"
    # One model has its images attacked once at each budget, by one process.
    log = (folder / "log").read_text().splitlines()
    assert len(log) == 3 * 2, log
    assert max(Counter(line.partition(" ")[2] for line in log).values()) == 1
    store = Store(folder / "store")
    assert len(store.tables.read("cells")) == len(store.cells([])), "no cell was written twice"
    assert_equal(records(store), alone())
    assert store.objects.listing(FOLDER) == []


@pytest.mark.long
def test_what_a_killed_run_was_at_the_other_does(
    folder: Path, start: Start, alone: Callable[[], dict[str, Record]]
) -> None:
    (folder / "trap").touch()
    first = start()
    wait_for(lambda: (folder / "sprung").exists(), first)
    second = start()
    # All that can be done without the step that the first one is at.
    wait_for(lambda: len(Store(folder / "store").finished()) == 2 + 4 * 3 * 2 - 1, second)
    time.sleep(2)
    assert second.poll() is None, "it waits"
    first.kill()
    killed = time.monotonic()
    text, _ = second.communicate(timeout=LIMIT)
    assert second.returncode == 0, text
    assert time.monotonic() - killed < 30, "the dead process was seen at once"
    (line,) = [row for row in text.splitlines() if f"computed by another run (process {first.pid} on " in row]
    assert "waiting for watched linf:1/255 untargeted, tiny-net on textures, seed 0 computed by" in line
    assert_equal(records(Store(folder / "store")), alone())
    assert Store(folder / "store").objects.listing(FOLDER) == []


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + LIMIT
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < limit
        time.sleep(0.1)


class Forgetful(LocalObjects):
    """A storage that cannot tell who came second."""

    def create(self, name: str, data: bytes) -> bool:
        self.write(name, data)
        return True


@pytest.mark.long
def test_work_done_twice_counts_once(
    folder: Path, alone: Callable[[], dict[str, Record]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs that see nothing of each other, as at worst without exclusive creation or with a clock that jumps."""
    monkeypatch.setenv("WATCHED", str(folder))
    first, second = (session_on(folder, "store") for _ in range(2))
    for session in (first, second):
        session.store = Store(folder / "store", Forgetful(folder / "store"))
    monkeypatch.setattr(Leases, "_latest", lambda self, step: (-1, None))
    monkeypatch.setattr(Arrivals, "update", lambda self, **now: self.done)
    plan = second.plan(folder / "grid.toml")
    outcomes: list[Outcome] = []
    steps_of = second.steps(plan)
    outcomes.append(first.run(first.plan(folder / "grid.toml")))
    # The second has planned before the first one did anything.
    monkeypatch.setattr(computing, "remaining", lambda plan, store, tally: [] if tally.steps else steps_of)
    outcomes.append(second.run(plan))
    assert [outcome.steps for outcome in outcomes] == [STEPS, STEPS]
    assert all(outcome.complete for outcome in outcomes)
    store = Store(folder / "store")
    found = records(store)
    assert len(store.cells([])) == len(found) == 2 + 4 * 3 * 2
    monkeypatch.undo()
    assert_equal(found, alone())
    store.compact(above=0)
    assert_equal(records(Store(folder / "store")), found)
    assert second.done().cells == set(found)


@pytest.mark.long
def test_a_run_computes_what_another_one_leaves_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps of a run that asks for other cells of one craft are trimmed to what is not there yet."""
    monkeypatch.setenv("WATCHED", str(folder))
    session = session_on(folder, "store")
    plan = session.plan(folder / "grid.toml")
    planned = session.steps(plan)
    small = GRID.replace("steps = [1, 4]", "steps = 1").replace(', "watched"', "").replace("[0, 1]", "0")
    (folder / "small.toml").write_text(small)
    other = session_on(folder, "store")
    lookout = Arrivals(session.store)
    done = other.run(other.plan(folder / "small.toml"))
    assert done.steps == 1 + 1 + 3 + 3 * 2
    monkeypatch.setattr(computing, "Arrivals", lambda store: lookout)
    rounds = iter([planned])
    monkeypatch.setattr(computing, "remaining", lambda plan, store, tally: next(rounds, []))
    outcome = session.run(plan)
    assert outcome.complete
    # Three steps of the sweep are there in part; those count for this run.
    assert (outcome.steps, outcome.steps_elsewhere) == (STEPS - (done.steps - 3), done.steps - 3)
    assert (outcome.made, outcome.elsewhere) == (len(plan.cells) - done.made, done.made)
