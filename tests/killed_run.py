"""Runs a grid that is killed at random moments again until it is through, on new stores until all kills are done.

    python tests/killed_run.py FOLDER KILLS SEED

Each run is a fork of this process, which has everything loaded. Stores are FOLDER/killed-1, ...; FOLDER/undisturbed is
that of a run that nobody killed. Prints a line for each kill: its number, and how many cells the store had by then.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from medrobust.api import Session

GRID = """
[[grid]]
dataset = "textures"
model = "tiny-net"
attack = ["one-for-all", "sign", { name = "steps", steps = [1, 4] }]
budget = ["linf:1/255", "linf:4/255", "linf:8/255"]
seed = [0, 1]
"""


def begun(folder: Path, store: str) -> int:
    """A process that runs the grid."""
    if child := os.fork():
        return child
    status = 1
    try:
        session = Session(folder / store, (Path(__file__).with_name("tiny.py"),), device="cpu", workers=1)
        status = 0 if session.run(session.plan(folder / "grid.toml")).complete else 1
    finally:
        os._exit(status)


def ended(child: int, moment: Callable[[], bool]) -> bool:
    """Whether a process ends by itself before a moment comes; it has to end well."""
    limit = time.monotonic() + 300
    while not moment():
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, f"a run ended with status {status}"
            return True
        assert time.monotonic() < limit, "a run does not end"
        time.sleep(0.01)
    return False


def files(store: Path) -> int:
    """How many files there are, those that come and go among them."""
    return sum(1 for _ in store.rglob("*.*"))


def has(store: Path, wanted: int) -> bool:
    return files(store) >= wanted


def never() -> bool:
    return False


def main(folder: Path, kills: int, seed: int) -> None:
    torch.set_num_threads(1)
    (folder / "grid.toml").write_text(GRID)
    rng, done, number = random.Random(seed), 0, 0
    assert ended(begun(folder, "undisturbed"), never)
    while done < kills:
        number += 1
        store = folder / f"killed-{number}"
        while True:
            # A few files later, and then anywhere within what comes next: a machine under load has no even pace.
            wanted, later = files(store) + rng.randint(1, 12), rng.uniform(0, 0.1)
            child = begun(folder, store.name)
            if ended(child, partial(has, store, wanted) if done < kills else never):
                break
            time.sleep(later)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            done += 1
            print(done, len(list((store / "cells").glob("[!.]*.parquet"))), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
