"""LC25000: a folder per class at any depth, all classes or some of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medrobust import DataError, DataSource, DataUnavailable
from medrobust_datasets.lc25000 import LC25000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten images of each of three classes, as the archive has them."""
    for number, name in enumerate(("lung_n", "lung_aca", "colon_n")):
        folder = tmp_path / "lc25000" / "lung_colon_image_set" / f"{name.split('_')[0]}_image_sets" / name
        folder.mkdir(parents=True)
        for index in range(10):
            Image.fromarray(np.full((8, 8, 3), 60 * number + index, np.uint8)).save(folder / f"{name}{index}.png")
    return tmp_path


def test_classes_are_those_whose_folders_are_there(root: Path) -> None:
    info = LC25000(size=8).describe(DataSource(root))
    assert (info.classes, info.splits, info.task) == (
        ("lung_n", "lung_aca", "colon_n"),
        ("train", "val", "test"),
        "multiclass",
    )


def test_a_subset_has_its_own_order(root: Path) -> None:
    data = LC25000(size=8, subset=("colon_n", "lung_n"))
    assert data.describe(DataSource(root)).classes == ("colon_n", "lung_n")
    test = data.load("test", DataSource(root))
    assert len(test) == 4
    assert test.labels is not None
    for identity, label, image in zip(test.ids, test.labels, np.asarray(test.images[:]), strict=True):
        assert identity.startswith(("colon_n/", "lung_n/")[label])
        assert (image.mean() > 100) == (label == 0)


def test_what_is_wrong_is_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unknown class 'lung'; valid: lung_n, lung_aca"):
        LC25000(subset=("lung",)).describe(DataSource(root))
    with pytest.raises(DataError, match="names 'lung_n' more than once"):
        LC25000(subset=("lung_n", "lung_n")).describe(DataSource(root))
    with pytest.raises(DataError, match="has no images in a folder called lung_scc or colon_aca"):
        LC25000(subset=("lung_n", "lung_scc", "colon_aca")).describe(DataSource(root))
    with pytest.raises(DataUnavailable, match=r"LC25000 \(folder 'elsewhere' with a folder per class\)"):
        LC25000(path="elsewhere").describe(DataSource(root))
