"""Leases: one run at a step, a killed one not for ever, and no trust in any clock."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from medrobust.results.leases import FOLDER, Leases, Owner
from medrobust.results.objects import LocalObjects, Objects


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


MakeRun = Callable[..., Leases]


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def run(objects: LocalObjects, clock: Clock) -> MakeRun:
    """A run on this machine, or on another of that name; it renews nothing by itself."""

    def make(elsewhere: str = "", on: Objects = objects) -> Leases:
        owner = Owner.of_this_run()
        owner = replace(owner, host=elsewhere, machine=f"{elsewhere} 1") if elsewhere else owner
        return Leases(on, owner, expires=60.0, clock=clock)

    return make


def test_one_run_has_a_step_until_it_gives_it_back(run: MakeRun, objects: LocalObjects) -> None:
    first, second = run(), run()
    assert first.take("s") is None
    assert first.take("s") is None
    held = second.take("s")
    assert held is not None
    assert held.owner == first.owner
    assert str(held.owner).startswith("process ")
    assert second.holder("s") == held
    assert second.take("t") is None
    assert ("s" in first, "s" in second, "t" in second) == (True, False, True)
    first.give_back("s")
    assert second.holder("s") is None
    assert second.take("s") is None
    for step in ("s", "t"):
        second.give_back(step)
    assert objects.listing(FOLDER) == []


def test_of_many_that_come_at_once_one_has_the_step(run: MakeRun) -> None:
    runs = [run() for _ in range(8)]
    start = threading.Barrier(8)
    got: list[bool] = []

    def take(each: Leases) -> None:
        start.wait()
        got.append(each.take("s") is None)

    threads = [threading.Thread(target=take, args=(each,)) for each in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got.count(True) == 1


def test_a_run_elsewhere_that_gives_no_sign_of_life_loses_its_step(run: MakeRun, clock: Clock) -> None:
    there, here = run("ward-3"), run()
    assert there.take("s") is None
    assert here.take("s") is not None
    for _ in range(3):
        clock.now += 50
        there._renew("s")
        assert here.take("s") is not None, "alive"
    clock.now += 59
    assert here.take("s") is not None
    clock.now += 2
    assert here.take("s") is None


def test_one_who_looks_for_the_first_time_trusts_no_clock_but_its_own(run: MakeRun, clock: Clock) -> None:
    there = run("ward-3")
    there.take("s")
    clock.now += 10_000
    here = run()
    assert here.take("s") is not None
    clock.now += 61
    assert here.take("s") is None


def test_who_was_taken_for_dead_does_no_harm(run: MakeRun, clock: Clock, objects: LocalObjects) -> None:
    asleep, here, third = run("ward-3"), run(), run()
    asleep.take("s")
    here.take("s")
    clock.now += 61
    assert here.take("s") is None
    asleep._renew("s")
    held = third.take("s")
    assert held is not None
    assert held.owner == here.owner
    here.give_back("s")
    assert third.take("s") is None, "the void lease went as well"
    asleep._renew("s")
    asleep.give_back("s")
    third.give_back("s")
    assert objects.listing(FOLDER) == []


def test_a_process_of_this_machine_that_has_ended_loses_its_steps_at_once(run: MakeRun, objects: LocalObjects) -> None:
    code = f"""
from pathlib import Path
from medrobust.results.leases import Leases
from medrobust.results.objects import LocalObjects
assert Leases(LocalObjects(Path({str(objects.path)!r}))).take("s") is None
print("taken", flush=True)
input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"taken\n"
        here = run()
        held = here.take("s")
        assert held is not None
        assert held.owner.pid == process.pid
        process.kill()
        # Not waited for: a process that has ended and is still listed counts as ended.
        while here.take("s") is not None:
            pass


def test_the_number_of_a_process_is_not_taken_for_the_process(run: MakeRun, objects: LocalObjects) -> None:
    here = run()
    earlier = Leases(objects, replace(here.owner, started=here.owner.started - 3600, token="earlier"))
    earlier.take("s")
    assert here.take("s") is None


def test_a_lease_is_renewed_in_the_background_and_given_back_in_the_end(objects: LocalObjects) -> None:
    with Leases(objects, renewed=0.01) as leases:
        leases.take("s")
        (found,) = objects.listing(FOLDER)
        before = objects.read(found.name)
        while objects.read(found.name) == before:
            pass
    assert objects.listing(FOLDER) == []


def test_a_failure_is_told_to_others_until_the_run_ends(run: MakeRun) -> None:
    first, second = run(), run()
    first.take("s")
    first.mark_failed("s", "no room for the kernel")
    held = second.take("s")
    assert held is not None
    assert held.failed == "no room for the kernel"
    first.give_back("s")
    assert second.take("s") is None


def test_a_damaged_lease_is_waited_for_and_then_nobodys(run: MakeRun, clock: Clock, objects: LocalObjects) -> None:
    run().take("s")
    (found,) = objects.listing(FOLDER)
    objects.write(found.name, b'{"owner": {"host"')
    here = run()
    held = here.take("s")
    assert held is not None
    assert "an unknown machine" in str(held.owner)
    clock.now += 61
    assert here.take("s") is None


def test_steps_whose_names_begin_alike_are_kept_apart(run: MakeRun) -> None:
    first, second = run(), run()
    first.take("ab")
    assert second.take("a") is None


class Forgetful(LocalObjects):
    """A storage that cannot tell who came second."""

    def create(self, name: str, data: bytes) -> bool:
        self.write(name, data)
        return True


def test_without_exclusive_creation_two_may_have_a_step_and_nothing_breaks(run: MakeRun, tmp_path: Path) -> None:
    place = Forgetful(tmp_path / "other")
    first, second = run(on=place), run(on=place)
    assert first.take("s") is None
    assert second.take("s") is not None, "seen, as it was there before"
    second._latest = lambda step: (-1, None)  # type: ignore[method-assign] - both looked before either wrote
    assert second.take("s") is None
    for each in (first, second):
        each.give_back("s")
    assert place.listing(FOLDER) == []
