"""Objects: whole or absent, and of two that create one, one is told that it came second."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from medrobust import StoreError
from medrobust.errors import LostError
from medrobust.results.objects import LocalObjects, Objects, objects_at
from medrobust.results.places import Url, absolute, local_folder, shown_place


@pytest.fixture
def local(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "place")


@pytest.fixture(params=["folder", "memory"])
def objects(request: pytest.FixtureRequest, local: LocalObjects, tmp_path: Path) -> Objects:
    """Objects of each kind that one process can have; `test_bucket.py` has those of a server."""
    return local if request.param == "folder" else objects_at(absolute(f"memory://{tmp_path.name}/place"))


def test_what_is_written_is_read(objects: Objects) -> None:
    assert not objects.anything()
    objects.write("cells/one.parquet", b"0123456789")
    assert objects.read("cells/one.parquet") == b"0123456789"
    assert objects.read("cells/one.parquet", last=3) == b"789"
    assert objects.read("cells/one.parquet", last=99) == b"0123456789"
    objects.write("cells/one.parquet", b"new")
    assert objects.read("cells/one.parquet") == b"new"
    assert objects.anything()


def test_listings_are_of_one_folder_in_order(objects: Objects) -> None:
    for name in ("cells/b", "cells/a1", "cells/a2", "cells/deep/a3", "top"):
        objects.write(name, b"12")
    assert [found.name for found in objects.listing("cells")] == ["cells/a1", "cells/a2", "cells/b"]
    assert [found.name for found in objects.listing("cells", "a")] == ["cells/a1", "cells/a2"]
    assert [(found.name, found.size) for found in objects.listing("")] == [("top", 2)]
    assert objects.listing("nowhere") == []


def test_what_is_not_there_is_lost(objects: Objects) -> None:
    for read in (lambda: objects.read("a"), lambda: objects.read("a/b"), lambda: objects.move("a", "b")):
        with pytest.raises(LostError, match="is not there"):
            read()
    objects.remove("a")


@pytest.mark.parametrize("links", [True, False])
def test_one_of_many_creates(local: LocalObjects, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not links:

        def refuse(*names: object) -> None:
            raise PermissionError("no links here")

        monkeypatch.setattr(os, "link", refuse)
    created: list[int] = []

    def create(number: int) -> None:
        if local.create("leases/one", str(number).encode()):
            created.append(number)

    threads = [threading.Thread(target=create, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(created) == 1
    assert local.read("leases/one") == str(created[0]).encode()
    assert not local.unfinished("leases")
    local.remove("leases/one")
    assert local.create("leases/one", b"again")


def test_moving_needs_no_reading(local: LocalObjects) -> None:
    local.write("cells/a", b"1")
    local.move("cells/a", "damaged/cells/a")
    assert local.listing("cells") == []
    assert local.read("damaged/cells/a") == b"1"
    Objects.move(local, "damaged/cells/a", "cells/a")
    assert local.read("cells/a") == b"1"


def test_a_failing_write_leaves_the_old_and_nothing_else(local: LocalObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    local.write("folder/file.txt", b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"file\.txt: cannot be written \(No space left on device\); free space"):
        local.write("folder/file.txt", b"new")
    assert local.read("folder/file.txt") == b"old"
    assert [p.name for p in (local.path / "folder").iterdir()] == ["file.txt"]


def test_what_is_being_written_is_not_listed(local: LocalObjects) -> None:
    local.write("cells/a", b"1")
    (local.path / "cells" / ".tmp-half").write_bytes(b"ha")
    assert [found.name for found in local.listing("cells")] == ["cells/a"]
    assert [found.name for found in local.unfinished("cells")] == ["cells/.tmp-half"]


def test_a_file_is_no_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file, not a store"):
        objects_at(tmp_path / "file")


def test_a_url_is_a_place_as_it_is_typed() -> None:
    for typed in ("s3://bucket/some/store", Path("s3://bucket/some/store"), "s3://bucket/some/store/"):
        place = absolute(typed)
        assert isinstance(place, Url)
        assert (str(place), place.name) == ("s3://bucket/some/store", "store")
        assert pickle.loads(pickle.dumps(place)) == place.absolute() == place.resolve() == absolute(place)
        assert str(pickle.loads(pickle.dumps(place))) == shown_place(place) == "s3://bucket/some/store"
    assert absolute("file:///some/store") == Path("/some/store")
    assert absolute("store") == Path.cwd() / "store"
    assert shown_place(Path.cwd() / "store") == "store"
    assert local_folder(absolute("s3://bucket/mine"), "report") == Path("mine-report")
    assert local_folder(Path("/mine"), "report") == Path("/mine/report")


def test_a_scheme_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(StoreError, match="nowhere://bucket/store: Protocol not known: nowhere; the extra s3"):
        objects_at(absolute("nowhere://bucket/store"))


def test_a_storage_that_refuses_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    objects = objects_at(absolute(f"memory://{tmp_path.name}"))

    def refuse(*arguments: object, **options: object) -> None:
        raise RuntimeError("no entry")

    monkeypatch.setattr(MemoryFileSystem, "cat_file", refuse)
    with pytest.raises(StoreError, match=r"/a: cannot be read \(RuntimeError: no entry\); are the address and"):
        objects.read("a")


def test_a_system_that_opens_no_folders_writes_all_the_same(
    local: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def as_windows(path: Path, *rest: int) -> int:
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied")
        return opened(path, *rest)

    monkeypatch.setattr(os, "open", as_windows)
    local.write("cells/one.parquet", b"whole")
    assert local.create("leases/one.json", b"mine")
    assert not local.create("leases/one.json", b"yours")
    assert local.read("cells/one.parquet") == b"whole"
