"""Files: read only as they were written; the damaged ones are set aside, never deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from medrobust import StoreError
from medrobust.errors import LostError
from medrobust.results.files import Files, content_hash, hash_in
from medrobust.results.objects import LocalObjects


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(LocalObjects(tmp_path))


def written(files: Files, content: bytes = b"whole") -> str:
    name = f"cells/one.{content_hash(content)}.parquet"
    files.objects.write(name, content)
    return name


@pytest.mark.parametrize(
    ("name", "carries"),
    [
        (f"cells/step-1a.{'0f' * 16}.parquet", True),
        (f"tensors/{'0f' * 16}.safetensors", True),
        ("cells/step-1a.parquet", False),
        (f"cells/{'0f' * 16}", False),
        (f"cells/one.{'0F' * 16}.parquet", False),
    ],
)
def test_the_hash_stands_before_the_ending(name: str, carries: bool) -> None:
    assert hash_in(name) == ("0f" * 16 if carries else "")


def test_a_whole_file_is_read_and_hashed_once(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    monkeypatch.setattr("medrobust.results.files.content_hash", lambda data: hashed.append(data) or content_hash(data))
    name = written(files)
    assert files.read(name) == files.read(name) == b"whole"
    assert len(hashed) == 1


def test_a_damaged_file_is_set_aside_and_from_then_on_absent(files: Files) -> None:
    for turn in range(2):
        name = written(files)
        files.objects.write(name, b"whale")
        with pytest.raises(LostError, match=r"is damaged \(its content .*\) and set aside as damaged/cells/one"):
            Files(files.objects).read(name)
        assert files.listing("cells") == []
        assert len(files.objects.listing("damaged/cells")) == turn + 1
    kept = files.objects.listing("damaged/cells")
    assert [files.objects.read(found.name) for found in kept] == [b"whale", b"whale"]


def test_a_file_without_a_hash_is_read_unchecked(files: Files) -> None:
    files.objects.write("cells/mine.parquet", b"anything")
    assert files.read("cells/mine.parquet") == b"anything"
    assert files.damaged == []


def test_a_file_is_read_twice_before_it_counts_as_damaged(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    name = written(files)
    answers = [b"noise"]
    read = files.objects.read
    monkeypatch.setattr(files.objects, "read", lambda name: answers.pop() if answers else read(name))
    assert files.read(name) == b"whole"
    assert files.damaged == []


def test_where_nothing_can_be_moved_a_damaged_file_is_passed_over(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = written(files)
    files.objects.write(name, b"whale")

    def refuse(name: str, to: str) -> None:
        raise StoreError("read-only")

    monkeypatch.setattr(files.objects, "move", refuse)
    for _ in range(2):
        with pytest.raises(LostError, match="could not be set aside"):
            files.read(name)
    assert files.listing("cells") == []
    assert [(each.name, each.kept) for each in files.damaged] == [(name, "")]


def test_a_file_that_cannot_be_read_is_no_damaged_one(files: Files) -> None:
    name = written(files)
    path = files.objects.path / name  # type: ignore[attr-defined]
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match="cannot be read"):
        files.read(name)
    assert files.damaged == []
