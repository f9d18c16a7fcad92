"""Inputs chosen by what code of a reader they reach: `python -m tests.safety.guided SECONDS FOLDER READER...`.

Atheris chooses the bytes, and the bytes the mutations: the same ones that test_fuzzed_readers.py draws at random.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import atheris  # type: ignore[import-not-found,unused-ignore]

with atheris.instrument_imports(include=["medrobust", "medrobust_datasets"], enable_loader_override=False):
    from ..conftest import TINY, core_registry
    from . import readers
    from .fuzzing import feed

MEMORY = 3000
"""MiB of a process, with torch."""


class Draws(random.Random):
    """Draws that bytes decide; zeros where they have ended."""

    def __init__(self, data: bytes) -> None:
        super().__init__(0)
        self._rest = memoryview(data)

    def getrandbits(self, k: int) -> int:
        count = (k + 7) // 8
        taken, self._rest = bytes(self._rest[:count]), self._rest[count:]
        return int.from_bytes(taken, "little") & ((1 << k) - 1)

    def random(self) -> float:
        return self.getrandbits(53) / (1 << 53)


def guide(name: str, seconds: str, folder: Path) -> None:
    """Feed a reader until the time is over or an input ends otherwise than with a result or one of our errors.

    It ends the process, with status 0 or 77.
    """
    needed = [readers.kept_by_a_run(folder / "ran", TINY)[name]] if name in ("parquet", "submission") else []
    reader = getattr(readers, name)(core_registry(), folder, *needed)

    def one(data: bytes) -> None:
        feed(reader, reader.make(Draws(data)), data.hex())

    options = (f"-max_total_time={seconds}", f"-rss_limit_mb={MEMORY}", "-max_len=256", f"-artifact_prefix={folder}/")
    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


def main(seconds: str, folder: str, *names: str) -> None:
    """Guide one reader after another, each in a process of its own, which has the instrumented code from this one."""
    for name in names:
        place = Path(folder) / name
        place.mkdir(parents=True)
        process = os.fork()
        if not process:
            guide(name, seconds, place)
        if status := os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]):
            raise SystemExit(f"{name}: ended with status {status}")


if __name__ == "__main__":
    main(*sys.argv[1:])
