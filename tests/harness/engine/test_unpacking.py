"""Archives that were downloaded: nothing of them lies outside their folder."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from medrobust import DataError
from medrobust.engine.unpacking import unpack


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "C:\\evil", "..\\evil"])
def test_a_zip_file_that_leads_out_is_refused_whole(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr("good", b"1")
        made.writestr(name, b"2")
    with pytest.raises(DataError, match=r"is not unpacked: its entry .* leads out of its folder"):
        unpack(tmp_path / "a.zip", "zip", tmp_path / "in" / "place")
    assert [each.name for each in tmp_path.iterdir()] == ["a.zip"]


def test_a_link_in_a_zip_file_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr(link, b"/etc")
    with pytest.raises(DataError, match="is a link"):
        unpack(tmp_path / "a.zip", "zip", tmp_path / "place")


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("../evil", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "/etc"),
        ("link", tarfile.SYMTYPE, "../.."),
        ("link", tarfile.LNKTYPE, "/etc/passwd"),
        ("device", tarfile.CHRTYPE, ""),
        ("pipe", tarfile.FIFOTYPE, ""),
    ],
)
def test_a_tar_file_that_leads_out_is_refused(name: str, kind: bytes, link: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as made:
        about = tarfile.TarInfo(name)
        about.type, about.linkname = kind, link
        made.addfile(about, io.BytesIO())
    with pytest.raises(DataError, match="is not unpacked"):
        unpack(tmp_path / "a.tar", "tar", tmp_path / "in" / "place")
    assert not [each for each in tmp_path.rglob("*") if each.name in ("evil", "link", "device", "pipe")]


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr("a", b"1")
        made.writestr("a/b", b"2")
    with pytest.raises(DataError, match="cannot be unpacked to"):
        unpack(tmp_path / "a.zip", "zip", tmp_path / "place")
