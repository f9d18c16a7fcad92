"""Objects: whole or absent, and of two that create one, one is told that it came second."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from medrobust import StoreError
from medrobust.errors import LostError
from medrobust.results.objects import LocalObjects, Objects, objects_at


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "place")


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
def test_one_of_many_creates(objects: Objects, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not links:

        def refuse(*names: object) -> None:
            raise PermissionError("no links here")

        monkeypatch.setattr(os, "link", refuse)
    created: list[int] = []

    def create(number: int) -> None:
        if objects.create("leases/one", str(number).encode()):
            created.append(number)

    threads = [threading.Thread(target=create, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(created) == 1
    assert objects.read("leases/one") == str(created[0]).encode()
    assert not objects.unfinished("leases")
    objects.remove("leases/one")
    assert objects.create("leases/one", b"again")


def test_moving_needs_no_reading(objects: LocalObjects) -> None:
    objects.write("cells/a", b"1")
    objects.move("cells/a", "damaged/cells/a")
    assert objects.listing("cells") == []
    assert objects.read("damaged/cells/a") == b"1"
    Objects.move(objects, "damaged/cells/a", "cells/a")
    assert objects.read("cells/a") == b"1"


def test_a_failing_write_leaves_the_old_and_nothing_else(
    objects: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.write("folder/file.txt", b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"file\.txt: cannot be written \(No space left on device\); free space"):
        objects.write("folder/file.txt", b"new")
    assert objects.read("folder/file.txt") == b"old"
    assert [p.name for p in (objects.path / "folder").iterdir()] == ["file.txt"]


def test_what_is_being_written_is_not_listed(objects: LocalObjects) -> None:
    objects.write("cells/a", b"1")
    (objects.path / "cells" / ".tmp-half").write_bytes(b"ha")
    assert [found.name for found in objects.listing("cells")] == ["cells/a"]
    assert [found.name for found in objects.unfinished("cells")] == ["cells/.tmp-half"]


def test_a_file_is_no_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file, not a store"):
        objects_at(tmp_path / "file")


def test_a_system_that_opens_no_folders_writes_all_the_same(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def as_windows(path: Path, *rest: int) -> int:
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied")
        return opened(path, *rest)

    monkeypatch.setattr(os, "open", as_windows)
    objects.write("cells/one.parquet", b"whole")
    assert objects.create("leases/one.json", b"mine")
    assert not objects.create("leases/one.json", b"yours")
    assert objects.read("cells/one.parquet") == b"whole"
