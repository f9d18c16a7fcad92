"""Whatever a file holds, its reader gives a result or one of our errors, in bounded time and memory.

The number of inputs for each reader is `MEDROBUST_FUZZ`, if that is set.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medrobust import GridError
from medrobust.api import Registry

from . import readers
from .fuzzing import Reader, feed, fuzz

INPUTS = int(os.environ.get("MEDROBUST_FUZZ", "5000"))
SOME = 150
"""Inputs of the short test, which is run every time."""
NAMES = ("archive", "budget", "checkpoint", "grid", "image", "npz", "parquet", "submission", "table", "tensors")

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does"),
    # Pillow and torch say what is odd about a file, and read on.
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore:Duplicate name"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> dict[str, object]:
    """What a run made, by the readers that are fed it."""
    return readers.kept_by_a_run(tmp_path_factory.mktemp("ran"), tiny)


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder for many small files: in memory where the system has such a place, as disks take their time."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="medrobust-tests-", dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def reader(request: pytest.FixtureRequest, core: Registry, scratch: Path) -> Reader:
    """The reader that a test names."""
    name: str = request.param
    needed = [request.getfixturevalue("made")[name]] if name in ("parquet", "submission") else []
    make: Callable[..., Reader] = getattr(readers, name)
    return make(core, scratch, *needed)


@pytest.mark.parametrize(
    ("reader", "number"),
    [
        pytest.param("checkpoint", 8293, id="an archive that spans disks"),
        pytest.param("grid", 10379, id="a long word in a message"),
        pytest.param("grid", 39490, id="a long name of a profile"),
        pytest.param("image", 81900, id="a size that is no whole number"),
        pytest.param("parquet", 18908, id="a list with a gap"),
        pytest.param("submission", 76536, id="a long name in a damaged archive"),
        pytest.param("table", 6682, id="a long name in a message"),
    ],
    indirect=["reader"],
)
def test_what_once_ended_otherwise(reader: Reader, number: int) -> None:
    assert not feed(reader, reader.make(random.Random(f"{reader.name} 0 {number}")), str(number))


@pytest.mark.parametrize("reader", NAMES, indirect=True)
def test_some_inputs(reader: Reader) -> None:
    found = fuzz(reader, SOME, seed=1)
    assert found.read > 0, "no input was near enough to a valid one"
    assert found.refused > 0


@pytest.mark.long
@pytest.mark.parametrize("reader", NAMES, indirect=True)
def test_many_inputs(reader: Reader) -> None:
    found = fuzz(reader, INPUTS)
    assert min(found.read, found.refused) > INPUTS / 200
    print(f"{reader.name}: {INPUTS} inputs, {found.read} read, {found.refused} refused, slowest {found.slowest:.2f} s")


def number(draw: random.Random) -> int:
    return draw.randrange(100)


def key_error(given: int) -> None:
    {}[given]


def endless_message(given: int) -> None:
    raise GridError("x" * 10_000)


def silent(given: int) -> None:
    raise GridError("")


def panic(given: int) -> None:
    raise BaseException("as a library in another language has them")


def hungry(given: int) -> int:
    return len(bytearray(20 * 2**30))


def slow(given: int) -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (key_error, r"KeyError: \d+"),
        (endless_message, "10000 characters"),
        (silent, "0 characters"),
        (panic, "BaseException"),
        (hungry, "MemoryError"),
    ],
)
def test_a_fault_of_a_reader_is_found(fault: Callable[[int], object], told: str) -> None:
    def read(given: int) -> object:
        return fault(given) if given == 7 else None

    with pytest.raises(AssertionError, match=rf"planted, input 3/\d+.*{told}"):
        fuzz(Reader("planted", number, read), 1000, seed=3)


def test_a_reader_that_does_not_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[fuzz.__module__], "SECONDS", 0.2)
    with pytest.raises(AssertionError, match=r"OutOfTimeError: more than 0\.2 s"):
        fuzz(Reader("planted", number, slow), 1)


def test_equal_seeds_give_equal_inputs(core: Registry, tmp_path: Path) -> None:
    reader = readers.grid(core, tmp_path)
    first = [repr(reader.make(random.Random(f"{n}"))) for n in range(50)]
    assert first == [repr(reader.make(random.Random(f"{n}"))) for n in range(50)]
    assert len(set(first)) > 40
