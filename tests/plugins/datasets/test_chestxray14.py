"""chestxray14: several labels an image, patients, official lists, and the subsets of ma2020."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medrobust import SPLITS, DataError, DataSource, DataUnavailable
from medrobust_datasets.chestxray14 import FINDINGS, NO_FINDING, ChestXray14

Write = Callable[..., Path]
HEADER = "Image Index,Finding Labels,Follow-up #,Patient ID"
ROWS = [
    "00000001_000.png,Cardiomegaly|Emphysema,0,1",
    "00000001_001.png,No Finding,1,1",
    "00000002_000.png,Hernia,0,2",
    "00000003_000.png,No Finding,0,3",
    "00000004_000.png,Pneumothorax,0,4",
    "00000005_000.png,Pneumothorax|Mass,0,5",
]


@pytest.fixture
def publish(write: Write, tmp_path: Path) -> Callable[..., None]:
    def publish(rows: list[str] = ROWS) -> None:
        for index, row in enumerate(ROWS):
            # Archives unpack to one folder or to several.
            write(f"chestxray14/images_00{index % 2 + 1}/images/{row.split(',')[0]}")
        (tmp_path / "chestxray14/Data_Entry_2017.csv").write_text("\n".join([HEADER, *rows]))

    return publish


def test_multilabel_with_official_lists(publish: Callable[..., None], source: DataSource, tmp_path: Path) -> None:
    publish()
    (tmp_path / "chestxray14/train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n00000002_000.png\n")
    (tmp_path / "chestxray14/test_list.txt").write_text("00000003_000.png\n00000004_000.png\n00000005_000.png\n")
    data = ChestXray14(size=8, val=0)
    info = data.describe(source)
    assert (info.task, info.classes, info.splits) == ("multilabel", (*FINDINGS, NO_FINDING), ("train", "test"))
    train = data.load("train", source)
    assert train.ids.tolist() == ["00000001_000.png", "00000001_001.png", "00000002_000.png"]
    assert train.labels is not None
    assert [np.flatnonzero(row).tolist() for row in train.labels] == [[1, 10], [14], [13]]
    assert train.groups is not None
    assert train.groups.tolist() == ["patient 1", "patient 1", "patient 2"]
    fourteen = ChestXray14(size=8, val=0, outputs=14).load("train", source).labels
    assert fourteen is not None
    assert fourteen.tolist() == train.labels[:, :14].tolist()


def test_single_label_subset(publish: Callable[..., None], source: DataSource) -> None:
    publish()
    data = ChestXray14(size=8, val=0, test=0, subset=("No Finding", "Pneumothorax"))
    info = data.describe(source)
    assert (info.task, info.classes) == ("multiclass", ("No Finding", "Pneumothorax"))
    train = data.load("train", source)
    assert train.ids.tolist() == ["00000001_001.png", "00000003_000.png", "00000004_000.png"]
    assert train.labels is not None
    assert train.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*ROWS, "00000009_000.png,Mass,0,9"], r"lists 1 of 7 images .*'00000009_000\.png'"),
        ([*ROWS, ROWS[0]], r"'00000001_000\.png' more than once"),
        (["00000001_000.png,Covid,0,1"], "unknown label 'Covid'; valid: Atelectasis, "),
        (["00000001_000.png,Mass"], "row 2: 2 fields where the header has 4"),
    ],
)
def test_wrong_table(publish: Callable[..., None], source: DataSource, rows: list[str], message: str) -> None:
    publish(rows)
    with pytest.raises(DataError, match=message):
        ChestXray14().describe(source)


def test_wrong_subset_and_lists(publish: Callable[..., None], source: DataSource, tmp_path: Path) -> None:
    publish()
    with pytest.raises(DataError, match="unknown label 'Pneumotorax'"):
        ChestXray14(subset=("No Finding", "Pneumotorax")).describe(source)
    with pytest.raises(DataError, match="no image with exactly one of the labels Edema"):
        ChestXray14(subset=("Edema",)).describe(source)
    for name in ("train_val_list.txt", "test_list.txt"):
        (tmp_path / "chestxray14" / name).write_text("00000001_000.png\n")
    with pytest.raises(DataError, match=r"and 2 more of .* are in neither train_val_list\.txt nor test_list\.txt"):
        ChestXray14().describe(source)


def test_missing(write: Write, source: DataSource) -> None:
    with pytest.raises(DataUnavailable, match="ChestX-ray14"):
        ChestXray14().describe(source)
    write("chestxray14/images/00000001_000.png")
    with pytest.raises(DataUnavailable, match=r"Data_Entry_2017\.csv is missing"):
        ChestXray14().describe(source)


@pytest.mark.data
def test_real_patients_of_both_classes_stay_on_one_side(real: DataSource) -> None:
    data = ChestXray14(subset=("No Finding", "Pneumonia"), size=16)
    classes, splits = defaultdict(set), defaultdict(set)
    count = 0
    for split in SPLITS:
        part = data.load(split, real)
        count += len(part)
        assert part.labels is not None
        assert part.groups is not None
        for patient, label in zip(part.groups.tolist(), part.labels.tolist(), strict=True):
            classes[patient].add(label)
            splits[patient].add(split)
    assert count == 1000
    assert sum(len(found) == 2 for found in classes.values()) == 21
    assert all(len(found) == 1 for found in splits.values())


@pytest.mark.data
def test_real_labels(real: DataSource) -> None:
    labels = ChestXray14(val=0, test=0, size=16).load("train", real).labels
    assert labels is not None
    assert labels.sum(axis=0)[[6, 14]].tolist() == [500, 500]
