"""Tables: what is wrong is named with file and row."""

from __future__ import annotations

from pathlib import Path

import pytest

from medrobust import DataError, DataSource, DataUnavailable
from medrobust_datasets.samples import Sample
from medrobust_datasets.tables import apply_split_lists, read_table, require_unique


def table(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def samples(*names: str) -> list[Sample]:
    return [Sample(name, Path("/data") / name, 0) for name in names]


def test_rows_are_text_and_a_byte_order_mark_is_no_column(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbffile, label\r\na.png, 007\r\n\r\n")
    assert read_table(path, ["file", "label"]) == [{"file": "a.png", "label": "007"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"file\n", "header and no rows"),
        (b"name,label\na,b\n", "no column 'file'; its columns are name, label"),
        (b"file,label\na\n", "row 2: 1 fields"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "not a CSV text file"),
    ],
)
def test_malformed_table(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"t\.csv.*{message}"):
        read_table(path, ["file"])


def test_repeated_names() -> None:
    with pytest.raises(DataError, match="'a' more than once"):
        require_unique(["a", "b", "a"], Path("t.csv"))


def test_one_list_a_split_matches_by_the_end_of_the_path(tmp_path: Path) -> None:
    table(tmp_path / "my_train.csv", "train/A/1.png,A\n")
    table(tmp_path / "my_test.csv", "file,label\nB/2.png,B\n")
    listed, lists = apply_split_lists(
        samples("train/A/1.png", "train/B/2.png", "train/B/3.png"), "my_{split}.csv", DataSource(tmp_path)
    )
    assert [(sample.id, sample.split) for sample in listed] == [("train/A/1.png", "train"), ("train/B/2.png", "test")]
    assert [path.name for path in lists] == ["my_train.csv", "my_test.csv"]


def test_one_table_of_splits(tmp_path: Path) -> None:
    table(tmp_path / "s.csv", "file,split\n1.png,val\n2.png,test\n")
    listed, _ = apply_split_lists(samples("A/1.png", "A/2.png"), "s.csv", DataSource(tmp_path))
    assert [sample.split for sample in listed] == ["val", "test"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.png,train\n1.png,test\n", "already in the train list"),
        ("1.png,train\n9.png,test\n", "1 of 2 images that are not in the data set, such as '9.png'"),
        ("1.png,dev\n", "unknown split 'dev'; valid: train, val, test"),
        ("2.png,train\n", "'2.png' fits 'A/2.png', 'B/2.png'"),
    ],
)
def test_lists_that_do_not_fit(tmp_path: Path, text: str, message: str) -> None:
    table(tmp_path / "s.csv", "file,split\n" + text)
    with pytest.raises(DataError, match=message):
        apply_split_lists(samples("A/1.png", "A/2.png", "B/2.png"), "s.csv", DataSource(tmp_path))


def test_a_file_that_lists_name_several_times_is_several_samples_of_one_group(tmp_path: Path) -> None:
    table(tmp_path / "my_train.csv", "A/1.png\nA/1.png\nA/2.png\n")
    table(tmp_path / "my_test.csv", "A/1.png\n")
    listed, _ = apply_split_lists(samples("A/1.png", "A/2.png"), "my_{split}.csv", DataSource(tmp_path), repeated=True)
    assert [(s.id, s.split, s.unit, s.file.name) for s in listed] == [
        ("A/1.png", "train", "A/1.png", "1.png"),
        ("A/1.png#2", "train", "A/1.png", "1.png"),
        ("A/2.png", "train", "A/2.png", "2.png"),
        ("A/1.png#3", "test", "A/1.png", "1.png"),
    ]


def test_missing_list(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match="the split list"):
        apply_split_lists(samples("1.png"), "no_{split}.csv", DataSource(tmp_path))
