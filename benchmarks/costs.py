"""What a step costs beside its computation: the store's latencies, packing, and Dask. Writes `costs.json`.

    uv run --extra dask --extra s3 --with 'moto[server]' python benchmarks/costs.py [--steps STORE]

`--steps` takes the times of steps from a store that was computed with one process a core.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from medrobust.api import Session
from medrobust.engine.running.parcels import parcel_of, terms_of
from medrobust.results.objects import Objects, objects_at
from medrobust.results.places import absolute

FILE = Path(__file__).with_name("costs.json")
FILES = (500, 5000)
"""Sizes of a folder between which the time of a listing grows."""
GRID = {"dataset": "phantom-derm", "model": "small-cnn", "attack": "pgd", "budget": "linf:1/255"}
QUANTILES = (0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1)


def seconds(call: Callable[[], object], repeats: int = 40) -> float:
    """The median time of a call."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def store_costs(objects: Objects, files: tuple[int, int]) -> dict[str, float]:
    """Seconds of each operation; listings as a base, and what each file in the folder adds."""
    data, numbers = os.urandom(30_000), iter(range(10**6))
    found: dict[str, float] = {
        "write": seconds(lambda: objects.write(f"cells/{next(numbers)}.parquet", data)),
        "create": seconds(lambda: objects.create(f"leases/{next(numbers)}.json", b"{}")),
        "read": seconds(lambda: objects.read("cells/0.parquet")),
    }
    created = iter([each.name for each in objects.listing("leases")])
    found["remove"] = seconds(lambda: objects.remove(next(created)), 30)
    whole, prefixed, there = [], [], 0
    for count in files:
        for number in range(there, count):
            objects.write(f"list/{number:08d}.parquet", b"")
        there = count
        whole.append(seconds(lambda: objects.listing("list"), 5))
        prefixed.append(seconds(lambda: objects.listing("list", "00000001."), 5))
    span = files[1] - files[0]
    found["list"], found["list_each"] = prefixed[0], max(whole[1] - whole[0], 0.0) / span
    found["find_each"] = max(prefixed[1] - prefixed[0], 0.0) / span
    return found


def bucket_costs() -> dict[str, float]:
    """The same of a server of S3 on this machine."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    access = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ.update(access, AWS_ENDPOINT_URL=f"http://{host}:{port}")
    import s3fs

    s3fs.S3FileSystem().mkdir("bucket")
    try:
        return store_costs(objects_at(absolute("s3://bucket/store")), (100, 1000))
    finally:
        server.stop()


def driver_costs(folder: Path) -> dict[str, float]:
    """Seconds of packing a step, and of a task that does nothing, from its submission on one of many."""
    from distributed import Client, LocalCluster

    session = Session(folder, device="cpu", workers=1)
    session.store.create()
    step = session.steps(session.plan({"grid": [GRID]}))[-1]
    with terms_of(session.context) as terms:
        pack = seconds(lambda: parcel_of(step, terms))
        parcel = parcel_of(step, terms)
    tasks = 1000
    with LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        client.gather(client.map(len, [parcel.step] * 10, pure=False))
        begun = time.perf_counter()
        client.gather([client.submit(len, parcel.step, pure=False) for _ in range(tasks)])
        return {"pack": pack, "dask": (time.perf_counter() - begun) / tasks, "bytes": float(len(parcel.step))}


def wait_cost(steps: int = 2000) -> float:
    """Seconds that a driver's wait for the next step that ends takes, for each step under way."""
    times = []
    for _ in range(5):
        futures: list[Future[None]] = [Future() for _ in range(steps)]
        threading.Timer(0.1, futures[0].set_result, (None,)).start()
        begun = time.process_time()
        wait(futures, None, FIRST_COMPLETED)
        times.append(time.process_time() - begun)
    return statistics.median(times) / steps


def step_times(store: Path) -> dict[str, Any]:
    """Quantiles of the seconds of the steps of a store."""
    tables = [pq.read_table(file, columns=["step", "seconds"]) for file in (store / "cells").glob("*.parquet")]
    steps: dict[str, float] = {}
    for row in (row for table in tables for row in table.to_pylist()):
        steps[row["step"]] = steps.get(row["step"], 0.0) + (row["seconds"] or 0.0)
    times = [value for value in steps.values() if value > 0]
    quantiles = [round(float(value), 2) for value in np.quantile(times, QUANTILES)]
    return {"count": len(times), "at": list(QUANTILES), "seconds": quantiles}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=Path)
    asked = parser.parse_args()
    costs: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        costs |= {"machine": f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"}
        costs |= {"date": time.strftime("%Y-%m-%d"), "folder": store_costs(objects_at(Path(folder) / "a"), FILES)}
        costs |= {"bucket": bucket_costs(), "driver": driver_costs(Path(folder) / "store")}
        costs["driver"]["wait_each"] = wait_cost()
    if asked.steps:
        costs["steps"] = step_times(asked.steps)
    FILE.write_text(json.dumps(costs, indent=1) + "\n")
    print(json.dumps(costs, indent=1))


if __name__ == "__main__":
    main()
