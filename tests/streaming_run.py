"""Crafts a universal perturbation on many image files under a limit of memory, and prints how much it needed.

    python tests/streaming_run.py FOLDER COUNT LIMIT_MB [whole | evaluate]

writes COUNT files of 160 pixels to FOLDER if there are none, takes them at 256 pixels (float32: 0.75 MiB each), allows
this process LIMIT_MB of data beyond what it holds after a small run, and runs a grid whose only costly part is the
perturbation. With `whole` it asks for all images at once instead, as a test that the limit is one. With `evaluate` the
images are not crafted on but evaluated: decoded into the cache, passed through the model, and attacked. Linux only.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from medrobust.api import Plan, Session
from medrobust.engine.crafting.images import PartImages
from medrobust.engine.data import load_part

DISTINCT = 50
SMALL = 300
"""Images of a first run, which takes blocks of images as large as any."""
MODEL = '''
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from medrobust import Model, Recipe


@dataclass(frozen=True)
class Coarse(Model):
    """One convolution with a stride of 32 pixels, untrained: passes cost next to nothing."""

    name: ClassVar[str] = "coarse"
    revision: ClassVar[int] = 1
    recipe: Recipe = Recipe(epochs=0)

    def build(self, shape):
        first = [nn.InstanceNorm2d(shape.channels), nn.Conv2d(shape.channels, 16, 32, stride=32, bias=False)]
        last = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, shape.outputs, bias=False)]
        return nn.Sequential(*first, *last)
'''
GRID = """
[define]
photos = {{ name = "openimages-folder", path = "photos", size = 256, test = 0.0, slice = "train[:{count}]" }}

[[grid]]
dataset  = {{ name = "phantom-derm", classes = 2, size = 256, train = 8, val = 2, test = 4 }}
model    = "coarse"
attack   = {{ name = "uap", passes = 1, chunks = {chunks}, chunk_size = {size}, step_size = "0.03" }}
goal     = "predicted"
budget   = "linf:0.1 box=none"
craft_on = "@photos"
"""


EVALUATION = """
[define]
photos = {{ name = "openimages-folder", path = "photos", size = 256, test = 0.98 }}

[[grid]]
dataset     = {{ name = "phantom-derm", classes = 2, size = 256, train = 8, val = 2, test = 4 }}
model       = "coarse"
attack      = "fgsm"
goal        = "predicted"
budget      = "linf:0.1"
evaluate_on = {{ dataset = "@photos", slice = "test[:{count}]" }}
"""


def data_bytes() -> int:
    """Private writable memory of this process: what RLIMIT_DATA bounds. Maps of files are no part of it."""
    return int(_status("VmData"))


def resident() -> int:
    """Memory of its own that this process has in use, without pages of mapped files, which the system can take back."""
    return int(_status("RssAnon"))


@contextmanager
def watched() -> Iterator[list[int]]:
    """The largest :func:`resident` memory while the context lasts, looked at every few milliseconds."""
    peak, done = [resident()], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], resident())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


def write_files(folder: Path, count: int) -> None:
    """Files of a few distinct contents: noise, about 20 kB each."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(DISTINCT):
        pixels = rng.normal(128, 30, (160, 160, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:06d}.jpg", quality=80)
    contents = [(folder / f"{number:06d}.jpg").read_bytes() for number in range(DISTINCT)]
    for number in range(DISTINCT, count):
        (folder / f"{number:06d}.jpg").write_bytes(contents[number % DISTINCT])


def main(folder: Path, count: int, limit_mb: int, what: str = "") -> None:
    run = evaluate if what == "evaluate" else craft
    if not (folder / "photos").is_dir():
        # Of those to evaluate, some more: two in a hundred are no test images.
        write_files(folder / "photos", count + count // 20 if what == "evaluate" else count)
    (folder / "coarse.py").write_text(MODEL)
    torch.set_num_threads(1)
    files = (folder / "coarse.py",)
    session = Session(folder / "store", files, data_root=folder, cache=folder / "cache", device="cpu", workers=1)
    # A small run first, so that libraries have their threads and buffers, and the heap its usual size.
    run(session, folder, SMALL)
    before = data_bytes()
    limit = before + limit_mb * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    if what == "whole":
        ask_for_all(session, folder, count)
        return
    held = resident()
    begun = time.perf_counter()
    with watched() as peak:
        run(session, folder, count)
    seconds = time.perf_counter() - begun
    print(
        f"{count} images, {count * 3 * 256 * 256 * 4 / 2**20:.0f} MiB as float32: {seconds:.0f} s; memory of its own "
        f"{peak[0] / 2**20:.0f} MiB at most, {held / 2**20:.0f} MiB before; limit: {limit_mb} MiB of data more"
    )


def planned(session: Session, folder: Path, count: int) -> Plan:
    size = min(count, 500)
    return session.plan(tomllib.loads(GRID.format(count=count, size=size, chunks=count // size)))


def evaluate(session: Session, folder: Path, count: int) -> None:
    """Evaluate `count` images clean and under an attack, and read their records."""
    plan = session.plan(tomllib.loads(EVALUATION.format(count=count)))
    outcome = session.run(plan)
    assert outcome.complete, outcome.problems
    records = dict(session.store.records(list(plan.cells)))
    assert [len(record) for record in records.values()] == [count, count]
    assert max(record.linf.max() for record in records.values()) > 0.09


def craft(session: Session, folder: Path, count: int) -> None:
    """Craft a perturbation on `count` images; it is neither zero nor too large."""
    plan = planned(session, folder, count)
    outcome = session.run(plan)
    assert outcome.complete, outcome.problems
    (cell,) = (c for c in plan.cells.values() if c.attack)
    perturbation = session.store.load_tensors(session.store.artifact(cell.perturbation_id))["perturbation"]
    assert 0.02 < perturbation.abs().max() <= 0.1001


def ask_for_all(session: Session, folder: Path, count: int) -> None:
    """All images at once, as an attack would that does not take them in batches."""
    (cell,) = (c for c in planned(session, folder, count).cells.values() if c.attack)
    part = cell.craft_on
    assert part is not None
    print(PartImages(load_part(part, session.context), "cpu")[:].shape)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
