"""medmnist: every 2-D set from its npz, and every way an npz can be wrong."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from medrobust import SPLITS, DataError, DataSource, DataUnavailable
from medrobust_datasets.medmnist import CLASSES, COLOUR, MULTILABEL, MedMnist, Name


def publish(root: Path, subset: str = "pneumonia", size: int = 28, **changed: Any) -> Path:
    """An npz as MedMNIST publishes it: 6, 2 and 4 images."""
    draw = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, count in zip(SPLITS, (6, 2, 4), strict=True):
        shape = (count, size, size, 3) if subset in COLOUR else (count, size, size)
        arrays[f"{split}_images"] = draw.integers(0, 256, shape, dtype=np.uint8)
        names = len(CLASSES[subset])
        columns, high = (names, 2) if subset in MULTILABEL else (1, names)
        arrays[f"{split}_labels"] = draw.integers(0, high, (count, columns), dtype=np.uint8)
    path = root / "medmnist" / (f"{subset}mnist.npz" if size == 28 else f"{subset}mnist_{size}.npz")
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, **{key: value for key, value in {**arrays, **changed}.items() if value is not None})
    return path


@pytest.mark.parametrize("subset", get_args(Name))
def test_every_set(subset: str, source: DataSource, tmp_path: Path) -> None:
    path = publish(tmp_path, subset)
    data = MedMnist(subset=subset)  # type: ignore[arg-type]
    info = data.describe(source)
    assert (info.classes, info.size, info.splits, info.grouped) == (CLASSES[subset], (28, 28), SPLITS, False)
    train = data.load("train", source)
    with np.load(path) as published:
        assert np.array_equal(train.images.squeeze(), published["train_images"])
        assert train.labels is not None
        assert np.array_equal(train.labels, published["train_labels"].squeeze())
    assert train.images.shape[-1] == info.channels
    assert train.labels.ndim == (2 if info.task == "multilabel" else 1)
    assert train.ids.tolist() == [f"train/{index:06d}" for index in range(6)]


def test_larger_size_and_long_name(source: DataSource, tmp_path: Path) -> None:
    publish(tmp_path, "blood", 64)
    data = TypeAdapter(MedMnist).validate_python({"subset": "BloodMNIST", "size": 64})
    assert data.load("test", source).images.shape == (4, 64, 64, 3)
    with pytest.raises(ValidationError, match="subset"):
        TypeAdapter(MedMnist).validate_python({"subset": "organ"})


def test_fingerprint_is_of_the_content(tmp_path: Path, source: DataSource) -> None:
    data = MedMnist()
    publish(tmp_path)
    first = data.fingerprint(source)
    publish(tmp_path)
    assert data.fingerprint(source) == first
    publish(tmp_path, test_images=np.zeros((4, 28, 28), np.uint8))
    assert data.fingerprint(source) != first


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_images": None}, "has no array train_images; it has "),
        ({"train_images": np.zeros((6, 28, 28), np.float32)}, r"images are float32 \(6, 28, 28\)"),
        ({"train_images": np.zeros((6, 28, 28, 3), np.uint8)}, r"needs uint8 \(n, 28, 28\)"),
        ({"train_labels": np.zeros((5, 1), np.uint8)}, r"labels are uint8 \(5, 1\); 6 images"),
        ({"train_labels": np.zeros((6, 1))}, "need whole numbers"),
        ({"train_labels": np.full((6, 1), 2, np.uint8)}, "labels range from 2 to 2; medmnist pneumonia has 0 to 1"),
        ({"train_labels": np.array([["a"]] * 6, dtype=object)}, "cannot be read as npz"),
    ],
)
def test_wrong_arrays(tmp_path: Path, source: DataSource, changed: dict[str, Any], message: str) -> None:
    publish(tmp_path, **changed)
    with pytest.raises(DataError, match=rf"pneumoniamnist\.npz.*{message}"):
        MedMnist().load("train", source)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.95])
def test_truncated_file(tmp_path: Path, source: DataSource, keep: float) -> None:
    path = publish(tmp_path)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    for read in (lambda: MedMnist().load("train", source), lambda: MedMnist().fingerprint(source)):
        with pytest.raises(DataError, match=r"pneumoniamnist\.npz cannot be read as npz .*cut short"):
            read()


def test_damaged_bytes(tmp_path: Path, source: DataSource) -> None:
    path = publish(tmp_path)
    content = bytearray(path.read_bytes())
    content[2000:2100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as npz"):
        MedMnist().load("train", source)


@pytest.mark.skipif(importlib.util.find_spec("medmnist") is not None, reason="the package medmnist would download it")
def test_missing_file_is_named(source: DataSource) -> None:
    with pytest.raises(DataUnavailable, match=r"dermamnist_64\.npz .*pip install medmnist"):
        MedMnist(subset="derma", size=64).describe(source)
    with pytest.raises(DataUnavailable, match="No data root is set"):
        MedMnist().describe(DataSource())


@pytest.mark.data
def test_real_pneumonia(real: DataSource) -> None:
    parts = [MedMnist().load(split, real) for split in SPLITS]
    assert [len(part) for part in parts] == [4708, 524, 624]
    assert parts[2].labels is not None
    assert np.bincount(parts[2].labels).tolist() == [234, 390]
