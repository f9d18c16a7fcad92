"""imagenet-folder and openimages-folder: natural images with and without labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medrobust import DataError, DataSource, DataUnavailable
from medrobust_datasets.natural import ImageNetFolder, OpenImagesFolder

Write = Callable[..., Path]


def test_flat_files_have_no_labels(write: Write, source: DataSource) -> None:
    for index in range(50):
        write(f"natural/imagenet-sample/n{index:08d}_thing.jpg", mode="RGB")
    data = ImageNetFolder(size=8)
    info = data.describe(source)
    assert (info.classes, info.splits, info.grouped) == ((), ("train", "test"), False)
    train, test = (data.load(split, source) for split in ("train", "test"))
    assert (len(train), len(test)) == (45, 5)
    assert train.labels is None
    assert not set(train.ids) & set(test.ids)
    assert len(ImageNetFolder(size=8, test=0).load("train", source)) == 50


def test_wordnet_ids_are_labels_if_asked(write: Write, source: DataSource) -> None:
    for name in ("n01440764_tench.jpg", "n01443537_goldfish.jpg", "n01440764_other.jpg"):
        write(f"natural/imagenet-sample/{name}", mode="RGB")
    data = ImageNetFolder(size=8, labels="wordnet", test=0)
    assert data.describe(source).classes == ("n01440764", "n01443537")
    assert data.load("train", source).labels == pytest.approx([0, 0, 1])
    write("natural/imagenet-sample/photo.jpg")
    with pytest.raises(DataError, match=r"photo\.jpg does not begin with a WordNet id"):
        data.describe(source)


def test_ilsvrc_folders(write: Write, source: DataSource) -> None:
    for split in ("train", "val"):
        for label in ("n02", "n01"):
            write(f"ilsvrc/{split}/{label}/{split}.jpeg", mode="RGB")
    data = ImageNetFolder(path="ilsvrc", size=8)
    assert (data.describe(source).classes, data.describe(source).splits) == (("n01", "n02"), ("train", "test"))
    assert data.load("test", source).ids.tolist() == ["val/n01/val.jpeg", "val/n02/val.jpeg"]
    assert ImageNetFolder(path="ilsvrc", size=8, labels="none").load("test", source).labels is None


def test_rescaling_to_the_largest_value(source: DataSource, tmp_path: Path) -> None:
    folder = tmp_path / "natural/openimages"
    folder.mkdir(parents=True)
    for name, level in (("dark", 51), ("bright", 255)):
        Image.fromarray(np.full((8, 8, 3), level, np.uint8)).save(folder / f"{name}.png")
    plain, rescaled = (OpenImagesFolder(size=8, test=0, rescale_max=on).load("train", source) for on in (False, True))
    assert plain.ids.tolist() == ["bright.png", "dark.png"]
    assert plain.images[:][:, 0, 0, 0].tolist() == [255, 51]
    assert rescaled.images[:][:, 0, 0, 0].tolist() == [255, 255]
    assert rescaled.labels is None


def test_missing(source: DataSource) -> None:
    with pytest.raises(DataUnavailable, match="folder of ImageNet images"):
        ImageNetFolder().describe(source)
    with pytest.raises(DataUnavailable, match="folder of Open Images files"):
        OpenImagesFolder().describe(source)


@pytest.mark.data
def test_real_sample_has_every_class_once(real: DataSource) -> None:
    data = ImageNetFolder(size=16, labels="wordnet", test=0).load("train", real)
    assert data.labels is not None
    # Sorted file order is the class index.
    assert data.labels.tolist() == list(range(1000))
    assert ImageNetFolder(size=16).load("train", real).labels is None
