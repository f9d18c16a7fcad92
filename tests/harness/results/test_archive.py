"""Archives of strangers: what leaves the folder, is no file, or unpacks without bound is refused unread."""

from __future__ import annotations

import random
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from medrobust import StoreError
from medrobust.results.archive import Bounds, pack, unpack


def zipped(file: Path, *entries: tuple[str | zipfile.ZipInfo, bytes], kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file


def written(folder: Path) -> dict[str, bytes]:
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder to unpack into, in one that is otherwise empty."""
    return tmp_path / "inner" / "place"


def test_what_is_packed_is_unpacked(tmp_path: Path, place: Path) -> None:
    (tmp_path / "own").write_bytes(b"own")
    pack(tmp_path / "a.zip", [("submission.json", b"{}"), ("store/cells/x-1.0.parquet", tmp_path / "own")])
    unpack(tmp_path / "a.zip", place)
    assert written(place) == {"submission.json": b"{}", "store/cells/x-1.0.parquet": b"own"}
    assert {each.name for each in tmp_path.iterdir()} == {"own", "a.zip", "inner"}


@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "a/../../evil", "/etc/evil", "//server/evil", "..", "a/..", "..\\evil", "C:\\evil", "C:evil"),
        *(".hidden", "a/.ssh", "a//b", "a/./b", "a b", "a\nb", "a:b", "con", "aux.txt", "a.", "ä", "a\x1bb", "-rf"),
        *("a/" * 20 + "b", "a" * 300),
    ],
)
def test_odd_names_are_refused_and_nothing_is_written(name: str, tmp_path: Path, place: Path) -> None:
    file = zipped(tmp_path / "evil.zip", ("good", b"1"), (name, b"2"))
    with pytest.raises(StoreError, match=r"evil\.zip"):
        unpack(file, place)
    assert not place.exists()
    assert written(tmp_path).keys() == {"evil.zip"}
    with pytest.raises(StoreError, match="rename the file"):
        pack(tmp_path / "own.zip", [(name, b"")])


def entry(name: str, mode: int) -> zipfile.ZipInfo:
    about = zipfile.ZipInfo(name)
    about.external_attr = mode << 16
    return about


@pytest.mark.parametrize(
    ("mode", "why"), [(stat.S_IFLNK, "a link"), (stat.S_IFIFO, "no file"), (stat.S_IFBLK, "no file")]
)
def test_links_and_devices_are_refused(mode: int, why: str, tmp_path: Path, place: Path) -> None:
    file = zipped(tmp_path / "links.zip", (entry("link", mode | 0o777), b"/etc"), ("link2", b"x"))
    with pytest.raises(StoreError, match=why):
        unpack(file, place)
    assert not place.exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("first", "second"), [("a", "a"), ("a", "A"), ("a", "a/b"), ("A/b", "a")])
def test_two_entries_for_one_place_are_refused(first: str, second: str, tmp_path: Path, place: Path) -> None:
    file = zipped(tmp_path / "two.zip", (first, b"1"), (second, b"2"))
    with pytest.raises(StoreError, match=r"two entries|below another file"):
        unpack(file, place)
    assert not place.exists()


def test_a_bomb_is_refused_by_what_it_declares(tmp_path: Path, place: Path) -> None:
    file = zipped(tmp_path / "bomb.zip", ("a", bytes(30_000_000)), kind=zipfile.ZIP_DEFLATED)
    assert file.stat().st_size < 100_000
    with pytest.raises(StoreError, match=r"would unpack 0\.0 MB to 30\.0 MB"):
        unpack(file, place)
    assert not place.exists()


def test_what_comes_out_is_counted_as_well(tmp_path: Path, place: Path) -> None:
    """An entry that declares less than it holds."""
    file = zipped(tmp_path / "liar.zip", ("a", bytes(5_000_000)), kind=zipfile.ZIP_DEFLATED)
    data = bytearray(file.read_bytes())
    for signature, offset in ((b"PK\1\2", 24), (b"PK\3\4", 22)):
        at = data.index(signature) + offset
        data[at : at + 4] = struct.pack("<I", 10)
    file.write_bytes(data)
    with pytest.raises(StoreError, match=r"liar\.zip: is no zip file or damaged"):
        unpack(file, place)
    assert sum(map(len, written(place).values())) <= 10


def test_entries_that_share_their_bytes_are_refused(tmp_path: Path, place: Path) -> None:
    """The other kind of bomb: many entries that all point at one compressed block."""
    file = zipped(tmp_path / "one.zip", ("0", bytes(9_000_000)), kind=zipfile.ZIP_DEFLATED)
    data = file.read_bytes()
    at, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    central = b"".join(data[at : end - 1] + str(i).encode() for i in range(10))
    tail = bytearray(data[end:])
    tail[8:12] = struct.pack("<HH", 10, 10)
    tail[12:16] = struct.pack("<I", len(central))
    (tmp_path / "many.zip").write_bytes(data[:at] + central + bytes(tail))
    with pytest.raises(StoreError, match="would unpack"):
        unpack(tmp_path / "many.zip", place)
    assert not place.exists()


def test_bounds_of_files_and_bytes(tmp_path: Path, place: Path) -> None:
    file = zipped(tmp_path / "b.zip", *((str(i), b"12345") for i in range(6)))
    with pytest.raises(StoreError, match="has 6 files; at most 5"):
        unpack(file, place, Bounds(entries=5))
    with pytest.raises(StoreError, match="would unpack"):
        unpack(file, place, Bounds(bytes=29))
    unpack(file, place, Bounds(entries=6, bytes=30))
    assert len(written(place)) == 6


@pytest.mark.long
def test_zip64_is_refused_before_its_contents_are_listed(tmp_path: Path, place: Path) -> None:
    file = tmp_path / "large.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for i in range(65_536):
            archive.writestr(str(i), b"")
    with pytest.raises(StoreError, match="zip64"):
        unpack(file, place)


def test_encrypted_and_oddly_compressed_entries_are_refused(tmp_path: Path, place: Path) -> None:
    file = zipped(tmp_path / "x.zip", ("a", b"1" * 100), kind=zipfile.ZIP_LZMA)
    with pytest.raises(StoreError, match="compressed in a way"):
        unpack(file, place)
    data = bytearray(zipped(tmp_path / "y.zip", ("a", b"1")).read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    file.write_bytes(data)
    with pytest.raises(StoreError, match="encrypted"):
        unpack(file, place)


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all", b"PK\5\6" + bytes(18)])
def test_what_is_no_archive_is_said_or_empty(content: bytes, tmp_path: Path, place: Path) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    if content.startswith(b"PK\5\6"):
        unpack(tmp_path / "x.zip", place)
        assert not written(place)
        return
    with pytest.raises(StoreError, match="is no zip file or damaged"):
        unpack(tmp_path / "x.zip", place)


def damaged(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice([1, 1, 3, 20])):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    start, stop = sorted(draw.randrange(len(changed)) for _ in range(2))
    cut: list[Callable[[], bytes]] = [
        lambda: bytes(changed),
        lambda: bytes(changed[:stop]),
        lambda: bytes(changed[:start] + changed[stop:]),
        lambda: bytes(changed[:stop] + changed[start:]),
    ]
    return draw.choice(cut)()


def test_damaged_archives_raise_our_errors_only(tmp_path: Path) -> None:
    names = ("submission.json", "store/cells/a.parquet", "source/mine/mine.py")
    entries = ((name, name.encode() * 30) for name in names)
    data = zipped(tmp_path / "good.zip", *entries, kind=zipfile.ZIP_DEFLATED).read_bytes()
    draw = random.Random(16)
    outcomes = set()
    for number in range(1500):
        file, place = tmp_path / "bad.zip", tmp_path / "places" / str(number)
        file.write_bytes(damaged(data, draw))
        try:
            unpack(file, place)
            outcomes.add("unpacked")
        except StoreError:
            outcomes.add("refused")
    assert outcomes == {"unpacked", "refused"}
    assert {each.name for each in tmp_path.iterdir()} == {"good.zip", "bad.zip", "places"}
    assert all(each.relative_to(tmp_path / "places").parts[0].isdigit() for each in (tmp_path / "places").rglob("*"))
