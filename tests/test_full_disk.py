"""Places that give out: a full disk, a read-only one, a store that is gone. One message, and the next run goes on."""

from __future__ import annotations

import errno
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Program = Callable[..., Any]
Bits = Callable[[Path], dict[str, Any]]
TESTS = Path(__file__).parent
GRID = """
[[grid]]
dataset = "textures"
model = "tiny-net"
attack = ["one-for-all", "meddling"]
budget = ["linf:1/255", "linf:8/255"]
"""
CELLS = 5
MEDDLING = '''
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from medrobust import Attack, ThreatModel


@dataclass(frozen=True)
class Meddling(Attack):
    """Runs the command in a file `trap`, once."""

    name: ClassVar[str] = "meddling"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def perturb(self, classifier, images, goal, budget, rng):
        trap = Path(os.environ["TRAP"])
        if trap.exists():
            command = trap.read_text()
            trap.unlink()
            assert os.system(command) == 0
        return (images - budget.eps).clamp(0, 1)
'''

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, bits: Bits) -> dict[str, Any]:
    """The records of a run that nothing happened to."""
    from medrobust.api import Session

    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "grid.toml").write_text(GRID)
    (folder / "meddling_attack.py").write_text(MEDDLING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAP", str(folder / "trap"))
        files = (TESTS / "tiny.py", folder / "meddling_attack.py")
        session = Session(folder / "store", files, device="cpu", workers=1)
        assert session.run(session.plan(folder / "grid.toml")).complete
    return bits(folder / "store")


@pytest.fixture
def run(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the grid on a store."""
    (tmp_path / "grid.toml").write_text(GRID)
    (tmp_path / "meddling_attack.py").write_text(MEDDLING)
    monkeypatch.setenv("TRAP", str(tmp_path / "trap"))

    def call(store: Path) -> Any:
        plugins = (TESTS / "tiny.py", tmp_path / "meddling_attack.py")
        return program("run", "grid.toml", "--store", store, plugins=plugins)

    return call


def assert_whole(program: Program, store: Path) -> None:
    """Nothing is half written, nothing is held."""
    checked = program("store", "check", store, plugins=())
    assert checked.status == 0, checked.out
    assert ": 0 damaged." in checked.out
    assert "Nothing is known to be lost." in checked.out
    assert list(store.rglob(".tmp-*")) == []
    assert list((store / "leases").glob("*")) == []


def assert_goes_on(program: Program, ended: Any, store: Path, expected: dict[str, Any], bits: Bits) -> None:
    """The command that a run named in the end computes the rest."""
    assert ended.status == 1
    error, *notes, following = ended.err.splitlines()
    assert error.startswith("error: ")
    assert len(notes) == 1
    words = shlex.split(following)
    assert words[:3] == ["Next:", "medrobust", "run"]
    before = len(bits(store)) if store.exists() else 0
    again = program(*words[2:], plugins=())
    assert again.status == 0, again.err
    assert f"{CELLS} cells: {before} already in the store, {CELLS - before} computed" in again.out
    assert bits(store) == expected


# A disk of its own ---------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A small file system in memory; called again, it is mounted with other options."""
    place = tmp_path / "disk"
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("a small file system can be mounted by root on Linux only; planted faults stand for it")

    def mount(options: str) -> Path:
        again = ["-o", f"remount,{options}"] if place.is_mount() else ["-t", "tmpfs", "-o", options]
        place.mkdir(exist_ok=True)
        done = subprocess.run(["mount", *again, "none", str(place)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("size", [pytest.param("56k", marks=pytest.mark.long), "100k"])
def test_a_full_disk_ends_a_run_and_a_freed_one_goes_on(
    program: Program, run: Run, disk: Callable[[str], Path], undisturbed: dict[str, Any], bits: Bits, size: str
) -> None:
    store = disk(f"size={size}") / "store"
    ended = run(store)
    error, note, _ = ended.err.splitlines()
    assert error.startswith(f"error: {store}/")
    assert ": cannot be written (No space left on device); free space there (" in error
    assert f" of {size.replace('k', '.0 kB')} left), or choose another --store" in error
    assert note == f"{len(bits(store))} of {CELLS} cells are in the store {store}, and are not computed again"
    assert len(bits(store)) < CELLS
    assert_whole(program, store)
    disk("size=4m")
    assert_goes_on(program, ended, store, undisturbed, bits)


@pytest.mark.long
def test_a_full_cache_ends_a_run_and_a_freed_one_goes_on(
    program: Program,
    run: Run,
    disk: Callable[[str], Path],
    undisturbed: dict[str, Any],
    bits: Bits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = disk("size=12k") / "cache"
    monkeypatch.setenv("MEDROBUST_CACHE", str(cache))
    ended = run(tmp_path / "store")
    assert f"error: {cache}/data/" in ended.err
    assert "cannot be written (No space left on device)" in ended.err
    assert "set MEDROBUST_CACHE to another folder for decoded images" in ended.err
    assert list(cache.rglob(".tmp-*")) == []
    assert_whole(program, tmp_path / "store")
    disk("size=4m")
    assert_goes_on(program, ended, tmp_path / "store", undisturbed, bits)


@pytest.mark.long
def test_a_disk_that_turns_read_only_ends_a_run(
    program: Program, run: Run, disk: Callable[[str], Path], undisturbed: dict[str, Any], bits: Bits, tmp_path: Path
) -> None:
    store = disk("size=4m") / "store"
    (tmp_path / "trap").write_text(f"mount -o remount,ro none {shlex.quote(str(store.parent))}")
    ended = run(store)
    assert "cannot be written (Read-only file system); permit writing there, or choose another --store" in ended.err
    # What is there can be read, and checked; the lease of a process that has ended holds nobody up.
    assert "Nothing is known to be lost." in program("store", "check", store, plugins=()).out
    refused = run(store)
    assert (refused.status, "Read-only file system" in refused.err) == (1, True)
    disk("rw")
    assert_goes_on(program, ended, store, undisturbed, bits)


# Planted faults ------------------------------------------------------------------------------------------------------


def planted(monkeypatch: pytest.MonkeyPatch, number: int, after: int) -> None:
    """From some write of a store on, the system refuses all, until `monkeypatch` is undone."""
    count, original = iter(range(10**6)), tempfile.mkstemp

    def refusing(*args: Any, **options: Any) -> Any:
        if options.get("prefix") == ".tmp-" and next(count) >= after:
            raise OSError(number, os.strerror(number))
        return original(*args, **options)

    monkeypatch.setattr(tempfile, "mkstemp", refusing)


@pytest.mark.parametrize(
    "after", [4, *(pytest.param(n, marks=pytest.mark.long) for n in (0, 1, *range(7, 28, 3)))], ids="write {}".format
)
def test_any_write_may_be_refused(
    program: Program, run: Run, tmp_path: Path, undisturbed: dict[str, Any], bits: Bits, after: int
) -> None:
    store = tmp_path / "store"
    number = (errno.ENOSPC, errno.EROFS, errno.EDQUOT)[after % 3]
    with pytest.MonkeyPatch.context() as patch:
        planted(patch, number, after)
        ended = run(store)
    assert f"cannot be written ({os.strerror(number)})" in ended.err
    if after:
        assert_whole(program, store)
    assert_goes_on(program, ended, store, undisturbed, bits)


def test_a_write_that_is_refused_half_way_leaves_nothing(run: Run, tmp_path: Path, program: Program) -> None:
    """Where a storage has no hard links, leases are written in place."""
    original = Path.open

    def opened(self: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        stream = original(self, mode, *args, **options)
        if mode == "xb":
            stream.close()
            return open("/dev/full", "wb", buffering=0)  # noqa: PTH123 - closed by who opened it
        return stream

    def no_links(*args: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not Path("/dev/full").exists():
        pytest.skip("no device here is always full")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", opened)
        patch.setattr(os, "link", no_links)
        ended = run(tmp_path / "store")
    assert "/leases/" in ended.err
    assert "No space left on device" in ended.err
    assert_whole(program, tmp_path / "store")


@pytest.mark.parametrize(
    ("happens", "back"),
    [
        pytest.param("mv store away", "mv away store", marks=pytest.mark.long),
        ("mv store away; mkdir store", "rmdir store; mv away store"),  # as where a disk was mounted
        pytest.param("rm -r store", "", marks=pytest.mark.long),
    ],
    ids=["moved", "unmounted", "removed"],
)
def test_a_store_that_vanishes_is_not_begun_anew_by_the_same_run(
    program: Program, run: Run, tmp_path: Path, undisturbed: dict[str, Any], bits: Bits, happens: str, back: str
) -> None:
    store = tmp_path / "store"
    (tmp_path / "trap").write_text(happens)
    ended = run(store)
    assert f"error: {store}: the store is gone; it was moved or removed, or its disk is away" in ended.err
    assert f"there is no store at {store} now" in ended.err
    assert [each for each in store.rglob("*") if each.is_file()] == []
    if back:
        assert os.system(back) == 0
    assert_goes_on(program, ended, store, undisturbed, bits)
    assert_whole(program, store)
