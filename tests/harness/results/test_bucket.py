"""Stores in a bucket: a server that speaks S3, on loopback, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from medrobust import StoreError
from medrobust.api import Record, Session, Store
from medrobust.engine.running.executors import Workers
from medrobust.errors import LostError
from medrobust.results.leases import FOLDER
from medrobust.results.objects import objects_at
from medrobust.results.places import absolute

pytest.importorskip("moto", reason="needs a server of S3; uv run --with 'moto[server]' has one")
s3fs = pytest.importorskip("s3fs", reason="needs s3fs; the extra s3 installs it")

TESTS = Path(__file__).parents[2]
GRID = {
    "dataset": "textures",
    "model": "tiny-net",
    "attack": ["one-for-all", {"name": "steps", "steps": [1, 4]}],
    "budget": "linf:8/255",
}
ACCESS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env={**os.environ, **ACCESS}, **quiet)  # type: ignore[call-overload]
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty bucket, which this process and those that it starts can use."""
    name = f"bucket-{uuid.uuid4().hex[:8]}"
    for variable, value in (*ACCESS.items(), ("AWS_ENDPOINT_URL", server)):
        monkeypatch.setenv(variable, value)
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir(name)
    return f"s3://{name}"


def test_objects_are_whole_and_listed(bucket: str) -> None:
    objects = objects_at(absolute(f"{bucket}/place"))
    assert not objects.anything()
    assert objects.listing("cells") == []
    objects.write("cells/b.parquet", b"0123456789")
    objects.write("cells/a.parquet", b"old")
    objects.write("cells/a.parquet", b"new")
    objects.write("cells/deep/c.parquet", b"1")
    assert objects.anything()
    assert objects.read("cells/a.parquet") == b"new"
    assert objects.read("cells/b.parquet", last=3) == b"789"
    assert objects.read("cells/b.parquet", last=99) == b"0123456789"
    assert [(found.name, found.size) for found in objects.listing("cells")] == [
        ("cells/a.parquet", 3),
        ("cells/b.parquet", 10),
    ]
    assert [found.name for found in objects.listing("cells", "b")] == ["cells/b.parquet"]
    assert abs(objects.listing("cells")[0].modified - time.time()) < 60
    objects.move("cells/a.parquet", "damaged/cells/a.parquet")
    objects.remove("cells/a.parquet")
    with pytest.raises(LostError, match=r"place/cells/a\.parquet is not there"):
        objects.read("cells/a.parquet")


def test_one_of_many_creates(bucket: str) -> None:
    objects = objects_at(absolute(bucket))
    created: list[int] = []

    def create(number: int) -> None:
        if objects.create("leases/one", str(number).encode()):
            created.append(number)

    threads = [threading.Thread(target=create, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(created) == 1
    assert objects.read("leases/one") == str(created[0]).encode()


def test_a_bucket_that_is_not_there_is_named(bucket: str) -> None:
    with pytest.raises(StoreError, match=r"s3://nobody-has-this/store/.*cannot be written"):
        Store("s3://nobody-has-this/store").create()


def records(store: Store) -> dict[str, Record]:
    return dict(store.records(list(store.cells([]).index)))


def run(place: Path | str, executor: Workers | None = None) -> Store:
    session = Session(place, (TESTS / "tiny.py",), device="cpu", workers=1, executor=executor)
    outcome = session.run(session.plan({"grid": [GRID]}))
    assert outcome.complete
    assert session.store.objects.listing(FOLDER) == []
    return session.store


def assert_equal(some: Store, others: Store) -> None:
    mine, theirs = records(some), records(others)
    assert mine.keys() == theirs.keys()
    assert len(mine) == 4
    for cell, record in mine.items():
        for field in ("ids", "clean", "adversarial", "linf"):
            assert np.array_equal(getattr(record, field), getattr(theirs[cell], field)), (cell, field)


@pytest.mark.long
def test_a_run_in_a_bucket_equals_one_in_a_folder(bucket: str, tmp_path: Path) -> None:
    there, here = run(f"{bucket}/store"), run(tmp_path / "store")
    assert_equal(there, here)
    assert str(there.path) == f"{bucket}/store"
    before = len(there.tables.read("cells"))
    assert_equal(run(f"{bucket}/store"), here)
    assert len(there.tables.read("cells")) == before, "nothing is computed again"
    there.compact(above=0)
    assert_equal(Store(f"{bucket}/store"), here)


@pytest.mark.long
def test_a_damaged_object_is_set_aside_and_made_again(bucket: str) -> None:
    store = run(f"{bucket}/store")
    name = store.tables.names("samples")[0].name
    store.objects.write(name, b"damaged")
    opened = Store(f"{bucket}/store")
    assert len(records(opened)) < 4
    assert [each.name for each in opened.damaged] == [name]
    assert len(records(run(f"{bucket}/store"))) == 4


@pytest.mark.long
def test_workers_of_dask_meet_in_a_bucket(bucket: str, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="needs Dask; the extra dask installs it")
    from medrobust.engine.running.cluster import Dask

    there = run(f"{bucket}/store", Dask(processes=2))
    assert len(there.tables.read("fits")) == 1
    assert_equal(there, run(tmp_path / "store"))
