"""Fetching files: checksums, what was interrupted goes on, what is corrupted is thrown away; against a local server."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medrobust import DataError, DataUnavailable, RemoteFile

pytest.importorskip("pooch")

from medrobust.engine import resuming
from medrobust.engine.downloads import FOLDER, Downloads

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def silent(done: int, total: int | None) -> None: ...


def test_a_file_is_fetched_once_checked_and_recorded(server: Any, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    file = RemoteFile(server.url("list.csv", CONTENT), "splits/paper/list.csv", sha256(CONTENT))
    downloads = Downloads(tmp_path)
    assert downloads.fetch(file, lambda *p: told.append(p)) == "fetched"
    assert (tmp_path / "splits/paper/list.csv").read_bytes() == CONTENT
    assert told[-1] == (300_000, 300_000)
    assert downloads.fetch(file, silent) == "there"
    assert server.asked == [""]
    record = Downloads(tmp_path).record(file)
    assert record is not None
    assert record["checksum"] == sha256(CONTENT)
    assert sorted(p.name for p in (tmp_path / FOLDER).iterdir()) == ["fetched.json"]


def test_a_download_whose_connection_breaks_goes_on(server: Any, tmp_path: Path) -> None:
    server.hang_up = [120_000, 50_000]
    file = RemoteFile(server.url("big.bin", CONTENT), "big.bin", sha256(CONTENT))
    assert Downloads(tmp_path).fetch(file, silent) == "fetched"
    assert (tmp_path / "big.bin").read_bytes() == CONTENT
    assert len(server.asked) == 3
    starts = [int(r.removeprefix("bytes=").rstrip("-")) for r in server.asked[1:]]
    # What came before a connection broke is not asked for again, but for what was on its way.
    assert 90_000 <= starts[0] <= 120_000
    assert starts[0] < starts[1] <= 170_000


def test_another_process_resumes_an_interrupted_download(server: Any, tmp_path: Path) -> None:
    server.hang_up = [100_000] + [0] * resuming.ATTEMPTS
    file = RemoteFile(server.url("big.bin", CONTENT), "big.bin", sha256(CONTENT))
    with pytest.raises(DataError, match=r"the connection failed 5 times .* bytes are there, and the same command"):
        Downloads(tmp_path).fetch(file, silent)
    assert not (tmp_path / "big.bin").exists()
    server.asked.clear()
    assert Downloads(tmp_path).fetch(file, silent) == "fetched"
    (asked,) = server.asked
    assert asked.startswith("bytes=")
    assert asked != "bytes=0-"
    assert (tmp_path / "big.bin").read_bytes() == CONTENT


def test_two_versions_of_a_file_are_not_mixed(server: Any, tmp_path: Path) -> None:
    server.hang_up = [100_000] + [0] * resuming.ATTEMPTS
    file = RemoteFile(server.url("big.bin", CONTENT), "big.bin")
    with pytest.raises(DataError, match="connection failed"):
        Downloads(tmp_path).fetch(file, silent)
    newer = CONTENT[::-1]
    server.url("big.bin", newer)
    assert Downloads(tmp_path).fetch(file, silent) == "fetched"
    assert (tmp_path / "big.bin").read_bytes() == newer


def test_a_server_without_ranges_sends_it_all_again(server: Any, tmp_path: Path) -> None:
    server.ranges = False
    server.hang_up = [100_000]
    file = RemoteFile(server.url("big.bin", CONTENT), "big.bin", sha256(CONTENT))
    assert Downloads(tmp_path).fetch(file, silent) == "fetched"
    assert (tmp_path / "big.bin").read_bytes() == CONTENT


def test_a_file_that_was_whole_when_the_process_died_is_fetched_again(server: Any, tmp_path: Path) -> None:
    """The server has no range beyond its end."""
    file = RemoteFile(server.url("big.bin", CONTENT), "big.bin", sha256(CONTENT))
    (tmp_path / FOLDER).mkdir()
    part = tmp_path / FOLDER / f"{hashlib.sha256(file.url.encode()).hexdigest()[:16]}.part"
    part.write_bytes(CONTENT)
    part.with_name(f"{part.name}.version").write_text(f'"{hashlib.md5(CONTENT).hexdigest()}"')
    assert Downloads(tmp_path).fetch(file, silent) == "fetched"
    assert (tmp_path / "big.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_corrupted_download_is_thrown_away(server: Any, tmp_path: Path, kind: str) -> None:
    known = f"{kind}:{hashlib.new(kind, CONTENT).hexdigest()}"
    corrupted = CONTENT[:1000] + b"?" + CONTENT[1001:]
    file = RemoteFile(server.url("big.bin", corrupted), "big.bin", known)
    downloads = Downloads(tmp_path)
    with pytest.raises(DataError, match=rf"the checksum is not the publisher's \({known}\); the download was thrown"):
        downloads.fetch(file, silent)
    assert not (tmp_path / "big.bin").exists()
    assert downloads.record(file) is None
    # The advice: fetch it again.
    server.url("big.bin", CONTENT)
    assert downloads.fetch(file, silent) == "fetched"
    assert (tmp_path / "big.bin").read_bytes() == CONTENT


def test_a_checksum_that_nobody_states_is_recorded_at_the_first_download(server: Any, tmp_path: Path) -> None:
    file = RemoteFile(server.url("big.bin", CONTENT), "big.bin")
    downloads = Downloads(tmp_path)
    downloads.fetch(file, silent)
    record = downloads.record(file)
    assert record is not None
    assert record["checksum"] == sha256(CONTENT)
    (tmp_path / "big.bin").unlink()
    server.url("big.bin", CONTENT[:-1])
    with pytest.raises(DataError, match=rf"the checksum is not that of {record['fetched']} \({sha256(CONTENT)}\)"):
        downloads.fetch(file, silent)
    server.url("big.bin", CONTENT)
    assert downloads.fetch(file, silent) == "fetched"


def packed(kind: str) -> bytes:
    """An archive with one file in a folder, or one compressed file."""
    if kind == "gz":
        return gzip.compress(CONTENT)
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("images/1.bin", CONTENT)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as members:
            entry = tarfile.TarInfo("images/1.bin")
            entry.size = len(CONTENT)
            members.addfile(entry, io.BytesIO(CONTENT))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "place"), [("zip", "images/1.bin"), ("tar", "images/1.bin"), ("gz", "")], ids=["zip", "tar", "gz"]
)
def test_archives_are_unpacked_and_deleted(server: Any, tmp_path: Path, kind: str, place: str) -> None:
    content = packed(kind)
    file = RemoteFile(server.url("a", content), "ward/set", sha256(content), kind)  # type: ignore[arg-type]
    downloads = Downloads(tmp_path)
    assert downloads.fetch(file, silent) == "fetched"
    assert (tmp_path / "ward/set" / place).read_bytes() == CONTENT
    assert sorted(p.name for p in (tmp_path / FOLDER).iterdir()) == ["fetched.json"]
    assert downloads.fetch(file, silent) == "there"
    assert downloads.fetch(file, silent, again=True) == "fetched"
    assert len(server.asked) == 2


def test_what_is_no_archive_is_named_and_the_advice_works(server: Any, tmp_path: Path) -> None:
    file = RemoteFile(server.url("a.zip", b"<html>please log in</html>"), "ward", packing="zip")
    downloads = Downloads(tmp_path)
    with pytest.raises(DataError, match=r"cannot be unpacked .* it is no zip file or damaged: delete it") as told:
        downloads.fetch(file, silent)
    Path(str(told.value).partition(" cannot")[0]).unlink()
    server.url("a.zip", packed("zip"))
    assert downloads.fetch(file, silent) == "fetched"


def test_an_archive_cannot_write_elsewhere(server: Any, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as members:
        entry = tarfile.TarInfo("../../outside")
        members.addfile(entry, io.BytesIO(b""))
    root = tmp_path / "data"
    file = RemoteFile(server.url("a.tar", buffer.getvalue()), "ward", packing="tar")
    with pytest.raises(DataError, match="is not unpacked"):
        Downloads(root).fetch(file, silent)
    assert not (tmp_path / "outside").exists()


def test_a_file_that_somebody_else_put_there_is_left_alone(server: Any, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("mine")
    file = RemoteFile(server.url("list.csv", CONTENT), "list.csv")
    assert Downloads(tmp_path).fetch(file, silent) == "present"
    assert (tmp_path / "list.csv").read_text() == "mine"
    assert server.asked == []


def test_what_the_server_does_not_have_is_named(server: Any, tmp_path: Path) -> None:
    file = RemoteFile(f"{server.address}/gone.zip", "ward", packing="zip")
    with pytest.raises(DataUnavailable, match=r"gone\.zip: the server answers 404 Not Found"):
        Downloads(tmp_path).fetch(file, silent)


def test_a_full_disk_is_told_before_the_download(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    file = RemoteFile(server.url("big.bin", CONTENT), "big.bin")
    with pytest.raises(DataError, match=r"has 0\.0 GB free and the download needs 0\.0 GB"):
        Downloads(tmp_path).fetch(file, silent)
