"""Reading mutated input: a result or one of our errors, in bounded time and memory; anything else is a defect."""

from __future__ import annotations

import contextlib
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrobust import MedrobustError

SECONDS = 10
"""CPU time for one input; valid ones take milliseconds."""
MEMORY = 3 * 2**30
"""Bytes of address space beyond what the process has when it begins."""
LONGEST = 4000
"""Characters of a message: what is longer is no message for people."""


@dataclass(frozen=True)
class Reader:
    """What is fed.

    Attributes:
        name: for messages.
        make: an input, from a generator.
        read: takes it.
    """

    name: str
    make: Callable[[random.Random], Any]
    read: Callable[[Any], object]


@dataclass
class Fuzzed:
    """What came of it: inputs that were read, and those that were refused; the longest time for one, in seconds."""

    read: int = 0
    refused: int = 0
    slowest: float = 0.0


class OutOfTimeError(BaseException):
    """Reading took too long; no reader catches it."""


def fuzz(reader: Reader, count: int, seed: int = 0) -> Fuzzed:
    """Feed a reader.

    Raises:
        AssertionError: naming the first input that ends otherwise than with a result or one of our errors.
    """
    found = Fuzzed()
    with _bounded():
        for number in range(count):
            given = reader.make(random.Random(f"{reader.name} {seed} {number}"))
            before = time.process_time()
            if feed(reader, given, f"{seed}/{number}"):
                found.read += 1
            else:
                found.refused += 1
            found.slowest = max(found.slowest, time.process_time() - before)
    return found


def feed(reader: Reader, given: object, name: str) -> bool:
    """Feed one input: whether it was read (else it was refused).

    Raises:
        AssertionError: if it ends otherwise, with the name of the input.
    """
    handler = signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        reader.read(given)
    except MedrobustError as error:
        if not 0 < len(str(error)) < LONGEST:
            raise AssertionError(f"{reader.name}, input {name}: {len(str(error))} characters") from error
        return False
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        what = f"{type(error).__name__}: {str(error)[:300]}"
        raise AssertionError(f"{reader.name}, input {name} raised {what}") from error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
    return True


def _too_long(*_: object) -> None:
    raise OutOfTimeError(f"more than {SECONDS} s")


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """A limit of memory, taken back afterwards."""
    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, hard))
