"""Runs that are stopped or killed: nothing that was finished is lost, and the next run goes on."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medrobust.api import Outcome, Session, Store

Program = Callable[..., Any]
Bits = Callable[[Path], dict[str, Any]]
TESTS = Path(__file__).parent
GRID = """
[[grid]]
dataset = "textures"
model = "tiny-net"
attack = ["sign", { name = "steps", steps = [1, 4] }, "slow"]
budget = ["linf:4/255", "linf:30/255"]
seed = [0, 1]
"""
SLOW = '''
import time
from dataclasses import dataclass
from typing import ClassVar
from medrobust import Attack, ThreatModel


@dataclass(frozen=True)
class Slow(Attack):
    """Takes its time."""

    name: ClassVar[str] = "slow"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def perturb(self, classifier, images, goal, budget, rng):
        time.sleep(SECONDS)
        return (images + budget.eps * (2 * (images < 0.5).float() - 1)).clamp(0, 1)
'''
KILLS = 12
"""Moments at which a run is killed."""


def table(store: Store) -> pd.DataFrame:
    """What a table is made of: every cell with its status and its record, without times and places."""
    frame = store.cells()[["attack", "budget", "seed", "status", "reason"]].copy()
    for cell, record in store.records(list(frame.index)):
        frame.loc[cell, "logits"] = record.adversarial.tobytes().hex() + record.clean.tobytes().hex()
        frame.loc[cell, "norms"] = record.l2.tobytes().hex() + record.linf.tobytes().hex()
    return frame


@dataclass(frozen=True)
class Interrupted:
    """A run of two workers that was killed in the middle, then run again by one, beside a run that was not.

    Attributes:
        store: of the killed run, now complete.
        fresh: of a run of one worker.
        first: cells that the killed run left.
        files: what it left, with times and content.
        second: how the second run ended.
        orphans: worker processes that outlived the killed one.
    """

    store: Store
    fresh: Store
    first: pd.DataFrame
    files: dict[Path, tuple[int, bytes]]
    second: Outcome
    orphans: list[str]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Interrupted:
    folder = tmp_path_factory.mktemp("interrupted")
    # One model, so that both workers come to the slow attack last.
    budgets = [f"linf:{eps}/255" for eps in (1, 4, 8, 30)]
    text = GRID.replace("[0, 1]", "0").replace('["linf:4/255", "linf:30/255"]', json.dumps(budgets))
    (folder / "grid.toml").write_text(text)
    slow, store = folder / "slow_attack.py", folder / "store"
    slow.write_text(SLOW.replace("SECONDS", "600"))
    with started(folder, str(slow)) as run:
        # All but the slow attack and the clean records, which stand at the end.
        wait_for(lambda: len(list((store / "cells").glob("[!.]*.parquet"))) >= 8, run, folder)
        run.kill()
        assert run.wait() != 0
        # A worker that is still being imported notices only afterwards.
        patience = time.monotonic() + 120
        while (orphans := processes_of(run.pid)) and time.monotonic() < patience:
            time.sleep(0.05)
    first = Store(store).cells()
    files = {f: (f.stat().st_mtime_ns, f.read_bytes()) for f in finished_files(store)}
    # The same attack without its sleep: a declared revision stands for the source, so its cells are the same.
    slow.write_text(SLOW.replace("SECONDS", "0"))
    outcomes = []
    for place in (store, folder / "fresh"):
        session = Session(place, (TESTS / "tiny.py", slow), device="cpu", workers=1)
        outcomes.append(session.run(session.plan(folder / "grid.toml")))
    assert (outcomes[1].made, outcomes[1].complete) == (17, True)
    return Interrupted(Store(store), Store(folder / "fresh"), first, files, outcomes[0], orphans)


@pytest.mark.long
def test_after_a_kill_no_finished_step_is_computed_again(interrupted: Interrupted) -> None:
    done = interrupted.first
    assert 12 <= len(done) < 17
    assert (interrupted.second.cached, interrupted.second.made) == (len(done), 17 - len(done))
    assert interrupted.second.complete
    assert interrupted.store.cells().loc[done.index, "created"].equals(done["created"])
    assert {f: (f.stat().st_mtime_ns, f.read_bytes()) for f in interrupted.files} == interrupted.files


@pytest.mark.long
def test_after_a_kill_the_final_tables_are_equal(interrupted: Interrupted) -> None:
    pd.testing.assert_frame_equal(table(interrupted.store), table(interrupted.fresh))


@pytest.mark.long
def test_one_and_two_workers_give_equal_records(interrupted: Interrupted) -> None:
    by_two = dict(interrupted.store.records(list(interrupted.first.index)))
    by_one = dict(interrupted.fresh.records(list(interrupted.first.index)))
    assert len(by_two) >= 12
    assert by_two.keys() == by_one.keys()
    for cell, record in by_two.items():
        for field in ("ids", "labels", "groups", "adversarial", "l2", "linf"):
            assert np.array_equal(getattr(record, field), getattr(by_one[cell], field)), (cell, field)
    assert interrupted.store.fitted() == interrupted.fresh.fitted()


@pytest.mark.long
def test_workers_end_with_their_parent(interrupted: Interrupted) -> None:
    assert interrupted.orphans == []


def finished_files(store: Path) -> list[Path]:
    """Files of results; a request made again is written again, with its time, and leases come and go."""
    files = (f for f in store.rglob("*") if f.is_file() and not f.name.startswith(".tmp-"))
    return [f for f in files if f.parent.name not in ("requests", "leases")]


def processes_of(group: int) -> list[str]:
    """Processes of a session that still run (a dead one that nobody has waited for does not)."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == group and fields[0] != "Z":
            found.append(folder.name)
    return found


HALTING = '''
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from torch import nn
from medrobust import Attack, Model, Recipe, ThreatModel


def halt(where):
    """Send the signal that the trap of this place names to this process, once."""
    trap = Path(os.environ["TRAPS"]) / where
    if trap.exists():
        number = signal.Signals[trap.read_text()]
        trap.unlink()
        os.kill(os.getpid(), number)


class Halt(nn.Module):
    def forward(self, images):
        if self.training:
            halt("fit")
        return images.flatten(1)


@dataclass(frozen=True)
class HaltingNet(Model):
    """Stops its own training."""

    name: ClassVar[str] = "halting-net"
    revision: ClassVar[int] = 1
    recipe: Recipe = Recipe(epochs=2, batch_size=16)

    def build(self, shape):
        return nn.Sequential(Halt(), nn.Linear(shape.channels * shape.height * shape.width, shape.outputs))


@dataclass(frozen=True)
class Halting(Attack):
    """Stops the run that it is part of."""

    name: ClassVar[str] = "halting"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def perturb(self, classifier, images, goal, budget, rng):
        halt("attack")
        return (images - budget.eps).clamp(0, 1)
'''
HALTED = """
[[grid]]
dataset = "textures"
model = "halting-net"
attack = ["sign", "halting"]
budget = ["linf:4/255", "linf:30/255"]
"""


@pytest.fixture
def default_signals() -> Iterator[None]:
    """Ctrl-C as a program meets it that is started from a terminal, also where these tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("name", "called", "status", "where"),
    [
        ("SIGINT", "Ctrl-C", 130, "attack"),
        ("SIGTERM", "SIGTERM", 143, "fit"),
        pytest.param("SIGINT", "Ctrl-C", 130, "fit", marks=pytest.mark.long),
        pytest.param("SIGTERM", "SIGTERM", 143, "attack", marks=pytest.mark.long),
    ],
)
@pytest.mark.usefixtures("default_signals")
def test_a_signal_ends_a_run_in_order(
    program: Program,
    bits: Bits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    name: str,
    called: str,
    status: int,
) -> None:
    (tmp_path / "grid.toml").write_text(HALTED)
    (tmp_path / "halting.py").write_text(HALTING)
    monkeypatch.setenv("TRAPS", str(tmp_path))
    plugins = (TESTS / "tiny.py", tmp_path / "halting.py")
    assert program("run", "grid.toml", "--store", "fresh", plugins=plugins).status == 0
    (tmp_path / where).write_text(name)
    stopped = program("run", "grid.toml", "--store", "my store", plugins=plugins)
    assert stopped.status == status
    done = {"fit": 0, "attack": 2}[where]
    told, following = stopped.err.splitlines()
    place = tmp_path / "my store"
    assert told == f"stopped by {called}; {done} of 5 cells are in the store {place}, and are not computed again"
    assert list((place / "leases").glob("*")) == []
    assert "0 damaged" in program("store", "check", str(place), plugins=()).out
    # What it says can be run as it stands.
    words = shlex.split(following)
    assert words[:3] == ["Next:", "medrobust", "run"]
    again = program(*words[2:], plugins=())
    assert again.status == 0
    assert f"5 cells: {done} already in the store, {5 - done} computed" in again.out
    assert bits(place) == bits(tmp_path / "fresh")


@pytest.mark.long
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.usefixtures("default_signals")
def test_a_signal_to_all_processes_ends_them_without_a_word_but_the_drivers(tmp_path: Path, name: str) -> None:
    """As Ctrl-C in a terminal, or what ends a job of a cluster: driver and workers get it at once."""
    (tmp_path / "grid.toml").write_text(GRID.replace("[0, 1]", "0"))
    (tmp_path / "slow_attack.py").write_text(SLOW.replace("SECONDS", "600"))
    with started(tmp_path, "slow_attack.py") as run:
        wait_for(lambda: len(list((tmp_path / "store" / "cells").glob("[!.]*.parquet"))) >= 4, run, tmp_path)
        begun = time.monotonic()
        os.killpg(run.pid, signal.Signals[name])
        status = run.wait(timeout=60)
        assert time.monotonic() - begun < 30
        patience = time.monotonic() + 30
        while processes_of(run.pid) and time.monotonic() < patience:
            time.sleep(0.05)
        assert processes_of(run.pid) == []
    assert status == 128 + signal.Signals[name]
    told = (tmp_path / "log").read_text()
    assert "of 9 cells are in the store" in told
    assert "Traceback" not in told
    assert "KeyboardInterrupt" not in told
    assert list((tmp_path / "store" / "leases").glob("*")) == []


@pytest.mark.long
def test_a_worker_that_is_killed_costs_its_step_and_no_more(tmp_path: Path, bits: Bits) -> None:
    (tmp_path / "grid.toml").write_text(GRID.replace("[0, 1]", "0"))
    slow = tmp_path / "slow_attack.py"
    slow.write_text(SLOW.replace("SECONDS", "1.5"))
    with started(tmp_path, "slow_attack.py") as run:
        wait_for(lambda: len(list((tmp_path / "store" / "cells").glob("[!.]*.parquet"))) >= 4, run, tmp_path)
        os.kill(workers_of(run.pid)[0], signal.SIGKILL)
        assert run.wait(timeout=240) == 0, (tmp_path / "log").read_text()
    session = Session(tmp_path / "fresh", (TESTS / "tiny.py", slow), device="cpu", workers=1)
    assert session.run(session.plan(tmp_path / "grid.toml")).complete
    assert bits(tmp_path / "store") == bits(tmp_path / "fresh")
    assert list((tmp_path / "store" / "leases").glob("*")) == []


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forks of one process, which start at once")
def test_kills_at_random_moments_lose_nothing(tmp_path: Path, bits: Bits, program: Program) -> None:
    command = [sys.executable, str(TESTS / "killed_run.py"), str(tmp_path), str(KILLS), "24"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    stores = sorted(tmp_path.glob("killed-*"))
    killed = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(killed) == KILLS
    assert len({cells for _, cells in killed}) > 3, "at several moments of a run"
    expected = bits(tmp_path / "undisturbed")
    assert len(expected) == 26
    for store in stores:
        assert bits(store) == expected
        assert list((store / "leases").glob("*")) == []
        assert "Nothing is known to be lost." in program("store", "check", str(store), plugins=()).out


@contextmanager
def started(folder: Path, *plugins: str) -> Iterator[subprocess.Popen[bytes]]:
    """The program with two workers on `grid.toml` and `store` in a folder, with a session of its own; ended at last."""
    command = [sys.executable, "-m", "medrobust.cli", "run", "grid.toml", "--store", "store", "--workers", "2"]
    command += ["--device", "cpu", "--no-evidence", "--plugin", str(TESTS / "tiny.py")]
    command += [word for plugin in plugins for word in ("--plugin", plugin)]
    with (folder / "log").open("w") as log:
        run = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        yield run
    finally:
        if processes_of(run.pid):
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()


def wait_for(condition: Callable[[], bool], run: subprocess.Popen[bytes], folder: Path) -> None:
    limit = time.monotonic() + 240
    while not condition():
        assert run.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < limit, (folder / "log").read_text()
        time.sleep(0.05)


def workers_of(group: int) -> list[int]:
    """Worker processes of a session."""
    spawned = [p for p in processes_of(group) if b"spawn_main" in Path("/proc", p, "cmdline").read_bytes()]
    return sorted(map(int, spawned))
