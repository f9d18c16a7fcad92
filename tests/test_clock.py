"""A clock that is set, back or forth, in the middle of runs and between them: it decides nothing that matters."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import psutil
import pytest

from medrobust.api import Session, Store
from medrobust.engine import requests
from medrobust.engine.crafting import universal
from medrobust.engine.models import weights
from medrobust.engine.steps import detect, probe, rows
from medrobust.results import leases

Program = Callable[..., Any]
Bits = Callable[[Path], dict[str, Any]]
TESTS = Path(__file__).parent
HOUR = 3600.0
GRID = """
[[grid]]
dataset = "textures"
model = "tiny-net"
attack = ["one-for-all", "sign"]
budget = ["linf:1/255", "linf:8/255"]
"""
OWN = '''
from dataclasses import dataclass
from typing import ClassVar
from medrobust import Attack, ThreatModel


@dataclass(frozen=True)
class Darken(Attack):
    """Every pixel as dark as the budget allows."""

    name: ClassVar[str] = "darken"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"}, knowledge="none")

    def perturb(self, classifier, images, goal, budget, rng):
        return (images - budget.eps).clamp(0, 1)
'''


class Clock:
    """What tells the time to everything that writes it down; `ahead` seconds, or hours off at random each time."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.wild: random.Random | None = None
        self.asked = 0

    @property
    def error(self) -> float:
        self.asked += 1
        return self.wild.uniform(-5 * HOUR, 5 * HOUR) if self.wild else self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the machine, which a test sets."""
    clock, real_time, real_start = Clock(), time.time, psutil.Process.create_time

    class Told(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=clock.error)

    for module in (requests, universal, weights, detect, probe, rows, leases):
        monkeypatch.setattr(module, "datetime", Told)
    monkeypatch.setattr(time, "time", lambda: real_time() + clock.error)
    # Linux tells the start of a process by the clock and the time that the machine has been on.
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: real_start(process) + clock.error)
    return clock


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    (tmp_path / "grid.toml").write_text(GRID)

    def call(store: str) -> Any:
        session = Session(tmp_path / store, (TESTS / "tiny.py",), device="cpu", workers=1)
        return session.run(session.plan(tmp_path / "grid.toml"))

    return call


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
def test_a_clock_that_jumps_while_a_run_goes_changes_no_record(
    run: Callable[[str], Any], bits: Bits, clock: Clock, tmp_path: Path, seed: int
) -> None:
    run("right")
    clock.wild, clock.asked = random.Random(seed), 0
    begun = time.monotonic()
    outcome = run("wild")
    assert clock.asked > 10
    assert (outcome.complete, outcome.made) == (True, 5)
    assert 0 <= outcome.seconds <= time.monotonic() - begun
    assert run("wild").cached == 5
    Store(tmp_path / "wild").compact(above=0)
    assert run("wild").cached == 5
    assert bits(tmp_path / "wild") == bits(tmp_path / "right")
    assert list((tmp_path / "wild" / "leases").glob("*")) == []


@pytest.mark.long
def test_the_last_request_counts_though_the_clock_was_set_back(program: Program, clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID.replace('"one-for-all", "sign"', '"darken"'))
    own = tmp_path / "darken.py"

    def shown(source: str, ahead: float) -> list[str]:
        own.write_text(source)
        clock.ahead = ahead
        ended = program("run", "grid.toml", "--store", "store", plugins=(TESTS / "tiny.py", own))
        assert ended.status == 0
        assert not re.search(r"-\d+(\.\d+)? (s|min|h)\b", ended.out), "no time is negative"
        told = program("leaderboard", "store", "--superseded", plugins=(TESTS / "tiny.py", own))
        assert told.status == 0
        return [state for state in ("superseded",) if state in told.out]

    assert shown(OWN, 5 * HOUR) == []
    weaker = OWN.replace("- budget.eps", "- budget.eps / 2")
    assert shown(weaker, -5 * HOUR) == ["superseded"]
    states = Store(tmp_path / "store").requests()
    assert states["created"].is_monotonic_increasing
    latest = set(states[states["created"] == states["created"].max()]["cell"])
    norms = {cell: record.linf.max() for cell, record in Store(tmp_path / "store").records(sorted(latest))}
    assert max(norms.values()) == pytest.approx(4 / 255, abs=1e-6), "the weaker attack is the current one"


def test_a_run_that_goes_on_is_not_taken_for_ended(clock: Clock, tmp_path: Path) -> None:
    objects = Store(tmp_path / "store").objects
    first, second = leases.Leases(objects), leases.Leases(objects)
    assert first.take("s") is None
    for ahead in (2 * HOUR, -3 * HOUR):
        clock.ahead = ahead
        held = second.take("s")
        assert held is not None
        assert held.owner == first.owner
    first.give_back("s")
    assert second.take("s") is None


@pytest.mark.parametrize("hours", [30, pytest.param(-30, marks=pytest.mark.long)])
def test_times_of_files_decide_nothing(
    run: Callable[[str], Any], program: Program, bits: Bits, tmp_path: Path, hours: float
) -> None:
    run("store")
    before = bits(tmp_path / "store")
    for file in (tmp_path / "store").rglob("*.*"):
        os.utime(file, (time.time() + hours * HOUR,) * 2)
    assert run("store").cached == 5
    pruned = program("store", "prune", "store", plugins=())
    assert pruned.status == 0, pruned.err
    assert run("store").cached == 5
    assert bits(tmp_path / "store") == before
