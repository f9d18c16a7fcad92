"""cifar10: torchvision reads the publisher's batches and verifies them."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from medrobust import SPLITS, DataError, DataSource, DataUnavailable
from medrobust_datasets.cifar10 import CLASSES, Cifar10

FOLDER = "cifar10/cifar-10-batches-py"


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six small batches in the publisher's layout, with their own checksums in torchvision's list."""
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)

    def put(name: str, content: object) -> list[str]:
        data = pickle.dumps(content)
        (folder / name).write_bytes(data)
        return [name, hashlib.md5(data, usedforsecurity=False).hexdigest()]

    def batch(name: str, seed: int) -> list[str]:
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 3072), dtype=np.uint8)
        return put(name, {"data": pixels, "labels": [index % 10 for index in range(40)]})

    monkeypatch.setattr(CIFAR10, "train_list", [batch(f"data_batch_{number}", number) for number in range(1, 6)])
    monkeypatch.setattr(CIFAR10, "test_list", [batch("test_batch", 0)])
    filename, md5 = put("batches.meta", {"label_names": list(CLASSES)})
    monkeypatch.setattr(CIFAR10, "meta", {"filename": filename, "key": "label_names", "md5": md5})
    return folder


def test_val_is_held_out_of_train(published: Path, source: DataSource) -> None:
    data = Cifar10()
    info = data.describe(source)
    assert (info.classes, info.size, info.splits) == (CLASSES, (32, 32), SPLITS)
    train, val, test = (data.load(split, source) for split in SPLITS)
    assert (len(train), len(val), len(test)) == (180, 20, 40)
    assert val.labels is not None
    assert np.bincount(val.labels).tolist() == [2] * 10
    assert not set(train.ids) & set(val.ids)
    pixels = CIFAR10(published.parent, train=False).data
    assert np.array_equal(test.images, pixels)
    assert Cifar10(size=16).load("test", source).images.shape == (40, 16, 16, 3)


def test_no_val(published: Path, source: DataSource) -> None:
    assert Cifar10(val=0).describe(source).splits == ("train", "test")
    assert len(Cifar10(val=0).load("train", source)) == 200
    with pytest.raises(DataError, match=r"no val split with val = 0"):
        Cifar10(val=0).load("val", source)


def test_damaged_batch_is_not_unpickled(published: Path, source: DataSource) -> None:
    (published / "data_batch_3").write_bytes(b"cposix\nsystem\n")
    with pytest.raises(DataError, match=r"not found or corrupted.*fetch it with"):
        Cifar10().load("train", source)


def test_missing(source: DataSource) -> None:
    with pytest.raises(DataUnavailable, match=r"CIFAR10.*download=True"):
        Cifar10().describe(source)
