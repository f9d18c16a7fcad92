"""Reads records of very many images under a limit of memory, as tables do, and prints how much it needed.

    python tests/reading_run.py FOLDER CELLS IMAGES LIMIT_MB [whole]

writes a store of CELLS records of IMAGES images each, allows this process LIMIT_MB of data beyond what it then holds,
and measures a metric of every record. With `whole` it keeps all records instead, as a test that the limit is one.
"""

from __future__ import annotations

import resource
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from streaming_run import data_bytes, resident, watched

from medrobust.api import Store, metric
from medrobust.results.samples import Samples
from medrobust.results.store import StepRecord


def write(store: Store, cells: int, images: int) -> None:
    rng = np.random.default_rng(0)
    ids = np.array([f"image-{number:07d}" for number in range(images)])
    labels = rng.integers(0, 2, images)
    for number in range(cells):
        logits = rng.normal(size=(images, 2)).astype(np.float32)
        norms = rng.uniform(size=images).astype(np.float32)
        row = {"status": "ok", "task": "multiclass", "clean": "cell-0", "created": datetime.now(UTC)}
        cell = f"cell-{number}"
        store.write_step(
            StepRecord(cell, [{**row, "cell": cell}], {cell: Samples(ids, None, labels, logits, norms, norms)})
        )


def main(folder: Path, cells: int, images: int, limit_mb: int, what: str = "") -> None:
    place = folder / "records"
    if not place.is_dir():
        write(Store(place).create(), cells, images)
    store = Store(place)
    next(iter(store.records(["cell-0"])))
    accuracy, held = metric("accuracy"), resident()
    limit = data_bytes() + limit_mb * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    names = [f"cell-{number}" for number in range(cells)]
    with watched() as peak:
        if what == "whole":
            kept = list(store.records(names))
            print(len(kept))
        else:
            values = [accuracy(record).value for _, record in store.records(names)]
            assert len(values) == cells
            assert all(0.4 < value < 0.6 for value in values)
    print(f"{cells} records of {images} images; {(peak[0] - held) / 2**20:.0f} MiB more at most; limit: {limit_mb} MiB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]), *sys.argv[5:])
