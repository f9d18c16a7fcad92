"""pcam: HDF5 files as torchvision reads them, slides as groups where the publisher's meta files are there."""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from medrobust import SPLITS, DataError, DataSource, DataUnavailable
from medrobust_datasets.pcam import PCam

PREFIX = "pcam/camelyonpatch_level_2_split"


def publish(root: Path) -> dict[str, np.ndarray]:
    h5py = pytest.importorskip("h5py")
    (root / "pcam").mkdir()
    images = {}
    for split, count in (("train", 6), ("valid", 3), ("test", 4)):
        images[split] = np.random.default_rng(count).integers(0, 256, (count, 96, 96, 3), dtype=np.uint8)
        with h5py.File(root / f"{PREFIX}_{split}_x.h5", "w") as file:
            file["x"] = images[split]
        with h5py.File(root / f"{PREFIX}_{split}_y.h5", "w") as file:
            file["y"] = (np.arange(count) % 2).astype(np.uint8).reshape(-1, 1, 1, 1)
    return images


def test_splits_and_sizes(tmp_path: Path, source: DataSource) -> None:
    images = publish(tmp_path)
    data = PCam()
    info = data.describe(source)
    assert (info.classes, info.size, info.splits, info.grouped) == (("normal", "metastasis"), (96, 96), SPLITS, False)
    val = data.load("val", source)
    assert np.array_equal(val.images, images["valid"])
    assert val.labels == pytest.approx([0, 1, 0])
    assert val.groups is None
    assert PCam(size=32).load("test", source).images.shape == (4, 32, 32, 3)


def test_slides_are_groups(tmp_path: Path, source: DataSource) -> None:
    publish(tmp_path)
    for split, count in (("train", 6), ("valid", 3), ("test", 4)):
        rows = [",coord_y,coord_x,tumor_patch,center_tumor_patch,wsi"]
        rows += [f"{index},0,0,False,False,camelyon16_{index // 2:03d}" for index in range(count)]
        content = "\n".join(rows).encode()
        (tmp_path / f"{PREFIX}_{split}_meta.csv.gz").write_bytes(gzip.compress(content))
    assert PCam().describe(source).grouped
    groups = PCam().load("test", source).groups
    assert groups is not None
    assert groups.tolist() == ["camelyon16_000", "camelyon16_000", "camelyon16_001", "camelyon16_001"]
    (tmp_path / f"{PREFIX}_test_meta.csv.gz").write_bytes(gzip.compress(b",wsi\n0,a\n"))
    with pytest.raises(DataError, match=r"test_meta\.csv\.gz must name a slide .* each of 4 patches"):
        PCam().load("test", source)


def test_truncated(tmp_path: Path, source: DataSource) -> None:
    publish(tmp_path)
    path = tmp_path / f"{PREFIX}_test_x.h5"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"the test files in .* cannot be read"):
        PCam().load("test", source)


def test_missing_file_is_named(source: DataSource) -> None:
    with pytest.raises(DataUnavailable, match=r"camelyonpatch_level_2_split_train_x\.h5 \(unpacked from"):
        PCam().describe(source)


@pytest.mark.skipif(importlib.util.find_spec("h5py") is not None, reason="h5py is installed")
def test_without_h5py(source: DataSource, tmp_path: Path) -> None:
    (tmp_path / "pcam").mkdir()
    for split in ("train", "valid", "test"):
        for part in "xy":
            (tmp_path / f"{PREFIX}_{split}_{part}.h5").write_bytes(b"")
    with pytest.raises(DataUnavailable, match="install the package h5py"):
        PCam().load("test", source)
