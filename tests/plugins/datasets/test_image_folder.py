"""image-folder: class folders, split folders, a CSV, and every way they can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medrobust import SPLITS, DataError, DataSource, DataUnavailable
from medrobust_datasets.image_folder import ImageFolder

Write = Callable[..., Path]


def test_split_folders(write: Write, source: DataSource) -> None:
    for split, count in (("train", 20), ("test", 3)):
        for label in ("cat", "ape"):
            for i in range(count):
                write(f"set/{split}/{label}/{i}.png")
    data = ImageFolder(path="set", size=8, channels=1)
    info = data.describe(source)
    assert (info.classes, info.size, info.channels, info.splits, info.grouped) == (
        ("ape", "cat"),
        (8, 8),
        1,
        SPLITS,
        False,
    )
    parts = {split: data.load(split, source) for split in SPLITS}
    assert {split: len(part) for split, part in parts.items()} == {"train": 36, "val": 4, "test": 6}
    test = parts["test"]
    assert test.images.dtype == np.uint8
    assert test.images.shape == (6, 8, 8, 1)
    assert test.labels is not None
    assert test.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert test.ids.tolist() == [f"test/{c}/{i}.png" for c in ("ape", "cat") for i in range(3)]
    assert test.groups is None


def test_flat_class_folders_are_split_by_group(write: Write, source: DataSource) -> None:
    for label in ("normal", "sick"):
        for patient in range(40):
            for eye in ("left", "right"):
                write(f"set/{label}/{label}{patient}_{eye}.jpg")
    data = ImageFolder(path="set", size=8, group_pattern=r"([a-z]+\d+)_(left|right)")
    assert data.describe(source).grouped
    groups = [set(data.load(split, source).groups.tolist()) for split in SPLITS]  # type: ignore[union-attr]
    assert [len(group) for group in groups] == [58, 6, 16]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]


def test_csv_says_split_label_and_group(write: Write, source: DataSource, tmp_path: Path) -> None:
    for i in range(4):
        write(f"set/images/{i}.png")
    (tmp_path / "set/table.csv").write_text(
        "file,label,split,group\nimages/0.png,b,train,p\nimages/1.png,a,val,q\nimages/2.png,b,test,r\n"
    )
    data = ImageFolder(path="set", size=8, csv="table.csv")
    assert data.describe(source).classes == ("a", "b")
    test = data.load("test", source)
    assert (test.ids.tolist(), test.labels.tolist(), test.groups.tolist()) == (["images/2.png"], [1], ["r"])  # type: ignore[union-attr]
    assert sum(len(data.load(split, source)) for split in SPLITS) == 3


def test_fingerprint_follows_content_not_place(write: Write, tmp_path: Path) -> None:
    for place in ("here", "there"):
        for i in range(3):
            path = write(f"{place}/set/c/{i}.png")
            path.write_bytes(b"0123")
    here, there = (DataSource(tmp_path / place) for place in ("here", "there"))
    data = ImageFolder(path="set")
    assert data.fingerprint(here) == data.fingerprint(there)
    (tmp_path / "there/set/c/1.png").write_bytes(b"01234")
    assert data.fingerprint(here) != data.fingerprint(there)


def test_no_folder(source: DataSource, tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match="image folder 'nowhere'"):
        ImageFolder(path="nowhere").describe(source)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataUnavailable, match="contains no images"):
        ImageFolder(path="empty").describe(source)


def test_no_test_split_says_so(write: Write, source: DataSource) -> None:
    write("set/train/a/0.png")
    data = ImageFolder(path="set", size=8)
    assert data.describe(source).splits == ("train",)
    with pytest.raises(DataError, match=r"image-folder set .* has no test images, only train\."):
        data.load("test", source)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("file,label\na/0.png,x\na/9.png,y\n", r"table\.csv lists 1 of 2 images that are not below .*'a/9\.png'"),
        ("file,label\na/0.png,x\na/1.png,z\n", r"table\.csv has the unknown label 'z'; valid: x, y"),
        ("file,label\na/0.png,x\na/0.png,y\n", r"table\.csv names 'a/0\.png' more than once"),
        ("file,split\na/0.png,dev\n", "unknown split 'dev'"),
        ("file,split\na/0.png,train\na/1.png,\n", r"split of 'a/1\.png' empty"),
        ("image\na/0.png\n", "no column 'file'; its columns are image"),
    ],
)
def test_wrong_csv(write: Write, source: DataSource, tmp_path: Path, rows: str, message: str) -> None:
    write("set/a/0.png")
    write("set/a/1.png")
    (tmp_path / "set/table.csv").write_text(rows)
    with pytest.raises(DataError, match=message):
        ImageFolder(path="set", csv="table.csv", classes=("x", "y")).describe(source)


def test_loose_and_stray_images(write: Write, source: DataSource) -> None:
    write("set/0.png")
    with pytest.raises(DataError, match=r"0\.png is in no class folder"):
        ImageFolder(path="set").describe(source)
    write("set/train/a/1.png")
    with pytest.raises(DataError, match="loose files beside the split folders 'train'"):
        ImageFolder(path="set").describe(source)


def test_group_pattern_that_finds_nothing(write: Write, source: DataSource) -> None:
    write("set/a/0.png")
    with pytest.raises(DataError, match=r"captures nothing in 'a/0\.png'"):
        ImageFolder(path="set", group_pattern=r"person(\d+)").describe(source)
    with pytest.raises(DataError, match="not a valid regular expression"):
        ImageFolder(path="set", group_pattern="(").describe(source)


def test_zero_byte_image_stops_or_is_skipped(write: Write, source: DataSource, tmp_path: Path) -> None:
    for i in range(3):
        write(f"set/test/a/{i}.png")
    (tmp_path / "set/test/a/1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"1\.png: the file is empty"):
        ImageFolder(path="set", size=8).load("test", source).images[:]
    assert ImageFolder(path="set", size=8, on_corrupt="skip").load("test", source).ids.tolist() == [
        "test/a/0.png",
        "test/a/2.png",
    ]


def test_linked_class_folders_are_followed(write: Write, source: DataSource, tmp_path: Path) -> None:
    for label in ("cat", "ape"):
        for i in range(10):
            write(f"elsewhere/{label}/{i}.png")
    (tmp_path / "set").mkdir()
    for label in ("cat", "ape"):
        (tmp_path / "set" / label).symlink_to(tmp_path / "elsewhere" / label)
    data = ImageFolder(path="set", size=8)
    assert data.describe(source).classes == ("ape", "cat")
    ids = [i for split in SPLITS for i in data.load(split, source).ids.tolist()]
    assert sorted(ids) == sorted(f"{label}/{i}.png" for label in ("cat", "ape") for i in range(10))


def test_a_link_that_leads_back_is_not_followed(write: Write, source: DataSource, tmp_path: Path) -> None:
    for i in range(10):
        write(f"set/cat/{i}.png")
    (tmp_path / "set" / "cat" / "again").symlink_to(tmp_path / "set")
    members = ImageFolder(path="set").members(source)
    assert sum(len(each.ids) for each in members.values()) == 10


def test_members_are_those_of_the_decoded_splits(write: Write, source: DataSource) -> None:
    for split in ("train", "test"):
        for i in range(8):
            write(f"set/{split}/cat/p{i // 2}_{i}.png")
    data = ImageFolder(path="set", size=8, group_pattern=r"(p\d)_", on_shared_groups="keep")
    assert data.describe(source).shared_groups
    members = data.members(source)
    assert list(members) == [s for s in SPLITS if s in data.describe(source).splits]
    for split, each in members.items():
        loaded = data.load(split, source)
        assert (each.ids, each.groups) == (loaded.ids.tolist(), loaded.groups.tolist())  # type: ignore[union-attr]
    assert set(members["train"].groups or ()) & set(members["test"].groups or ())


def test_a_subset_of_the_classes_in_the_order_given(write: Write, source: DataSource) -> None:
    for label in ("aca", "n", "scc"):
        for i in range(10):
            write(f"set/{label}/{i}.png")
    data = ImageFolder(path="set", size=8, subset=("n", "aca"), val=0.0, test=0.3)
    assert data.describe(source).classes == ("n", "aca")
    test = data.load("test", source)
    assert {(i.split("/")[0], int(label)) for i, label in zip(test.ids, test.labels, strict=True)} == {
        ("n", 0),
        ("aca", 1),
    }
    assert len(test) + len(data.load("train", source)) == 20
    # A class of the same name is the same images, whichever others are taken.
    both = ImageFolder(path="set", size=8, subset=("aca", "scc"), val=0.0, test=0.3).load("test", source)
    assert {i for i in both.ids if i.startswith("aca")} == {i for i in test.ids if i.startswith("aca")}


@pytest.mark.parametrize(
    ("subset", "message"),
    [
        (("n", "scc"), "no images of class 'scc', which subset names; it has 'aca', 'n'"),
        (("n", "n"), "names a class twice: 'n', 'n'"),
    ],
)
def test_a_wrong_subset_is_named(write: Write, source: DataSource, subset: tuple[str, ...], message: str) -> None:
    write("set/aca/0.png")
    write("set/n/0.png")
    with pytest.raises(DataError, match=message):
        ImageFolder(path="set", size=8, subset=subset).describe(source)
