"""Steps on a Dask cluster: a scheduler and workers as processes on loopback, as `dask scheduler` starts them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from medrobust import MedrobustError
from medrobust.api import Outcome, Record, Session, Store
from medrobust.errors import ExecutorError

pytest.importorskip("distributed", reason="needs Dask; the extra dask installs it")

from distributed import Client

from medrobust.engine.running.cluster import Dask, is_open
from medrobust.engine.running.executors import Event
from medrobust.engine.running.progress import Silent
from medrobust.plugins import local
from medrobust.results.leases import FOLDER

TESTS = Path(__file__).parents[3]
LIMIT = 120.0
GRID = {
    "dataset": "textures",
    "model": "tiny-net",
    "attack": ["one-for-all", {"name": "steps", "steps": [1, 4]}],
    "budget": "linf:8/255",
    "seed": [0, 1],
}
WATCHED = '''
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from medrobust import Attack, ThreatModel
from beside import length


@dataclass(frozen=True)
class Watched(Attack):
    """Writes down that it runs; the first to do so in a folder with a file `trap` waits for long."""

    name: ClassVar[str] = "watched"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
    pause: float = 0.0

    def perturb(self, classifier, images, goal, budget, rng):
        folder = Path(os.environ["WATCHED"])
        with (folder / "log").open("a") as log:
            log.write(f"{os.getpid()} {float(budget.eps):.6f} {classifier.logits(images).sum():.6f}\\n")
        try:
            (folder / "trap").rename(folder / "sprung")
        except FileNotFoundError:
            time.sleep(self.pause)
        else:
            (folder / "sprung").write_text(str(os.getpid()))
            time.sleep(600)
        return (images - length(budget.eps)).clamp(0, 1)
'''
BESIDE = "def length(eps):\n    return eps\n"


class Cluster:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "WATCHED": str(folder), "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "30s"}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        self.address = ""

    def start(self, workers: int) -> Cluster:
        file = self.folder / "scheduler.json"
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
        self._run("scheduler", options)
        wait_for(file.exists)
        self.address = str(file)
        for _ in range(workers):
            self.add_worker()
        with Client(scheduler_file=self.address, timeout=LIMIT) as client:
            client.wait_for_workers(workers, timeout=LIMIT)
            self.address = client.scheduler_info()["address"]
        return self

    def add_worker(self, *options: str, **environment: str) -> None:
        plain = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "60"]
        plain += ["--local-directory", str(self.folder / "scratch")]
        self.environment |= environment
        self.workers.append(self._run("worker", [self.address, *plain, *options]))

    def _run(self, what: str, options: list[str]) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{what}{len(self.processes)}.log").open("wb")
        if what == "worker" and self.address.endswith(".json"):
            options = ["--scheduler-file", *options]
        command = [sys.executable, "-m", "distributed.cli.dask_" + what, *options]
        self.processes.append(subprocess.Popen(command, env=self.environment, stdout=log, stderr=log))
        log.close()
        return self.processes[-1]

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()


def wait_for(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.1)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    (tmp_path / "cluster").mkdir()
    made = Cluster(tmp_path / "cluster")
    yield made
    made.stop()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "beside.py").write_text(BESIDE)
    (tmp_path / "own" / "watched_attack.py").write_text(WATCHED)
    yield tmp_path / "own" / "watched_attack.py"
    local.forget(tmp_path / "own" / "watched_attack.py")


def run(session: Session, grid: dict[str, object], watcher: Silent | None = None) -> Outcome:
    return session.run(session.plan({"grid": [grid]}), watcher)


def on(cluster: Cluster, store: Path, *files: Path, say: Callable[[str], None] = print) -> Session:
    executor = Dask(cluster.address, say=say)
    return Session(store, (TESTS / "tiny.py", *files), device="cpu", executor=executor)


def records(store: Store) -> dict[str, Record]:
    return dict(store.records(list(store.cells([]).index)))


def assert_equal(some: Store, others: Store) -> None:
    mine, theirs = records(some), records(others)
    assert mine.keys() == theirs.keys()
    for cell, record in mine.items():
        for field in ("ids", "labels", "groups", "clean", "adversarial", "l2", "linf"):
            assert np.array_equal(getattr(record, field), getattr(theirs[cell], field)), (cell, field)


class Heard(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def event(self, event: Event) -> None:
        self.events.append(event)


@pytest.mark.long
def test_records_equal_those_of_a_run_in_this_process(
    cluster: Cluster, tmp_path: Path, watched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHED", str(tmp_path))
    grid = {**GRID, "attack": [*GRID["attack"], "watched"]}  # type: ignore[misc]
    here = Session(tmp_path / "here", (TESTS / "tiny.py", watched), device="cpu", workers=1)
    alone = run(here, grid)
    there = on(cluster.start(2), tmp_path / "there", watched)
    heard = Heard()
    outcome = run(there, grid, heard)
    assert outcome.complete
    assert (outcome.made, outcome.steps) == (alone.made, alone.steps) == (10, 2 + 2 + 2 + 3 * 2)
    assert_equal(there.store, here.store)
    # Each model was fitted once, whoever needed it.
    assert len(there.store.tables.read("fits")) == 2
    assert len({line.split()[0] for line in (cluster.folder / "log").read_text().splitlines()}) <= 2
    assert len({event.step for event in heard.events}) >= 2, "progress comes back"
    # Nothing of the run itself stays, and another one finds all of it done.
    assert there.store.objects.listing(FOLDER) == there.store.objects.listing("workers") == []
    assert run(on(cluster, tmp_path / "there", watched), grid).cached == 10


@pytest.mark.long
def test_a_worker_that_is_killed_changes_nothing(
    cluster: Cluster, tmp_path: Path, watched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHED", str(tmp_path))
    grid = {**GRID, "attack": "watched", "budget": ["linf:1/255", "linf:2/255", "linf:4/255", "linf:8/255"]}
    here = Session(tmp_path / "here", (TESTS / "tiny.py", watched), device="cpu", workers=1)
    assert run(here, grid).complete
    cluster.start(2)
    (cluster.folder / "trap").touch()
    killed: list[int] = []

    def kill() -> None:
        sprung = cluster.folder / "sprung"
        wait_for(lambda: sprung.exists() and sprung.read_text())
        killed.append(int(sprung.read_text()))
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    there = on(cluster, tmp_path / "there", watched)
    outcome = run(there, grid)
    thread.join()
    assert outcome.complete
    assert len(killed) == 1
    assert killed[0] in {worker.pid for worker in cluster.workers}
    assert_equal(there.store, here.store)
    log = (cluster.folder / "log").read_text().splitlines()
    assert len(log) == 4 * 2 + 1, "the step of the lost worker ran twice, every other one once"
    assert len(there.store.tables.read("fits")) == 2


@pytest.mark.long
def test_an_edited_plugin_file_reaches_workers_that_have_the_old_one(
    cluster: Cluster, tmp_path: Path, watched: Path
) -> None:
    grid = {**GRID, "attack": "watched", "seed": 0}
    cluster.start(1)
    first = on(cluster, tmp_path / "store", watched)
    assert run(first, grid).made == 2
    (watched.parent / "beside.py").write_text(BESIDE.replace("return eps", "return eps / 2"))
    second = on(cluster, tmp_path / "store", watched)
    outcome = run(second, grid)
    assert (outcome.complete, outcome.made, outcome.cached) == (True, 1, 1)
    found = records(second.store)
    largest = sorted(float(record.linf.max()) for record in found.values() if record.linf is not None)
    assert largest[-2:] == pytest.approx([4 / 255, 8 / 255], abs=1e-6)


@pytest.mark.long
def test_a_plugin_that_a_worker_lacks_is_named(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.start(1)  # before the plugin is on Python's path
    site = tmp_path / "site"
    about = site / "stranger_attacks-1.2.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger-attacks\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text("[medrobust]\nattacks = stranger_attacks\n")
    source = WATCHED.replace("from beside import length", "length = float")
    (site / "stranger_attacks.py").write_text(source.replace('"watched"', '"stranger"'))
    monkeypatch.syspath_prepend(site)
    session = on(cluster, tmp_path / "store")
    with pytest.raises(ExecutorError) as missing:
        run(session, {**GRID, "attack": "stranger", "seed": 0})
    text = str(missing.value)
    named = r"worker on \S+ \(process \d+\): attack 'stranger-attacks:stranger' \(stranger-attacks 1\.2\) is not there "
    assert re.search(named + r"\(ModuleNotFoundError: No module named 'stranger_attacks'\); install it", text), text
    assert session.store.objects.listing(FOLDER) == session.store.objects.listing("workers") == []


@pytest.mark.long
def test_a_scheduler_that_vanishes_ends_the_run_and_loses_nothing(
    cluster: Cluster, tmp_path: Path, watched: Path
) -> None:
    grid = {**GRID, "attack": {"name": "watched", "pause": 0.2}, "seed": 0, "budget": ["linf:1/255", "linf:2/255"]}
    cluster.start(1)

    class Ending(Silent):
        def finished(self, step: object, report: object) -> None:
            if getattr(step, "kind", "") == "craft":
                cluster.processes[0].kill()

    with pytest.raises(ExecutorError, match=r"the scheduler tcp://127\.0\.0\.1:\d+ is gone; what finished steps wrote"):
        run(on(cluster, tmp_path / "store", watched), grid, Ending())
    store = Store(tmp_path / "store")
    assert store.fitted()
    assert store.objects.listing(FOLDER) == store.objects.listing("workers") == []


@pytest.mark.long
@pytest.mark.parametrize("address", [True, False], ids=["a cluster that is there", "one of its own"])
def test_a_signal_ends_a_run_in_order(cluster: Cluster, tmp_path: Path, watched: Path, address: bool) -> None:
    (tmp_path / "grid.toml").write_text(
        """
[[grid]]
dataset = "textures"
model = "tiny-net"
attack = { name = "watched", pause = 1.0 }
budget = ["linf:1/255", "linf:2/255", "linf:3/255", "linf:4/255", "linf:5/255", "linf:6/255"]
"""
    )
    where = ["--address", cluster.start(2).address] if address else ["--workers", "2"]
    command = [sys.executable, "-m", "medrobust.cli", "run", "grid.toml", "--no-evidence", "--device", "cpu"]
    command += ["--plugin", str(TESTS / "tiny.py"), "--plugin", str(watched), "--executor", "dask", *where]
    store = Store(tmp_path / "medrobust-store")
    options = {"cwd": tmp_path, "env": cluster.environment, "text": True}
    with subprocess.Popen([*command, "--store", str(store.path)], stderr=subprocess.PIPE, **options) as run:  # type: ignore[call-overload]
        wait_for(lambda: len(store.tables.names("cells")) >= 2)
        run.terminate()
        _, told = run.communicate(timeout=LIMIT)
    assert run.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in told
    assert re.search(r"stopped by SIGTERM; [2-6] of 7 cells are in the store .*\nNext: medrobust run grid.toml", told)
    again = subprocess.run([*command, "--store", str(store.path)], capture_output=True, timeout=LIMIT, **options)  # type: ignore[call-overload]
    assert again.returncode == 0, again.stderr
    assert len(store.finished()) == 7


def test_no_scheduler_is_an_error_that_says_what_starts_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medrobust.engine.running.cluster.TIMEOUT", 1.0)
    session = Session(tmp_path / "s", (TESTS / "tiny.py",), device="cpu", executor=Dask("tcp://127.0.0.1:9"))
    with pytest.raises(ExecutorError, match=r"--address tcp://\S+: no scheduler answers .* `dask scheduler`"):
        run(session, GRID)


def test_addresses_that_others_can_read_are_known() -> None:
    assert is_open("tcp://10.0.0.1:8786")
    assert not any(map(is_open, ("tcp://127.0.0.1:8786", "tls://10.0.0.1:8786", "scheduler.json")))
    assert issubclass(ExecutorError, MedrobustError)
