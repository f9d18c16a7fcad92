"""Images of a part: decoded once, kept whole, converted as the models expect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from medrobust import DataError, DataInfo, Dataset, DataSource, ImageData, OnDemand
from medrobust.api import Grid, Registry
from medrobust.engine.context import RunContext
from medrobust.engine.data import convert, load_part, mean_norm
from medrobust.engine.image_cache import opened
from medrobust.engine.splits import load_slice, load_split
from medrobust.grid.cells import Part
from medrobust.grid.expansion import expand
from medrobust.grid.metadata import MetadataCache
from medrobust.grid.slices import Slice, cut
from medrobust.plugins.specs import Spec


@dataclass(frozen=True)
class Counted(Dataset):
    """Counts how often it is decoded."""

    name: ClassVar[str] = "counted"
    loads: list[str] = field(default_factory=list)
    fault: str = ""

    def describe(self, source: DataSource) -> DataInfo:
        return DataInfo(("a", "b"), (2, 3), 1, shared_groups=self.fault == "published so")

    def load(self, split: str, source: DataSource) -> ImageData:
        self.loads.append(split)
        images: Any = np.arange(24, dtype=np.uint8).reshape(4, 2, 3, 1)
        labels, ids = np.array([0, 1, 0, 1]), np.array([f"{split}-{letter}" for letter in "abcd"])
        groups = None
        match self.fault:
            case "dtype":
                images = images / 255
            case "shape":
                images = images[..., 0]
            case "labels":
                labels = labels[:3]
            case "float labels":
                labels = labels / 1
            case "ids":
                ids = np.array(["a", "a", "b", "c"])
            case "objects":
                ids = np.array([f"{split}-{letter}" for letter in "abcd"], dtype=object)
            case "range":
                labels = np.array([0, 1, 2, 1])
            case "channels first":
                images = images.transpose(0, 3, 1, 2)
            case "size":
                images = images[:, :, :2]
            case "ids of two splits":
                ids = np.array(["a", "b", "c", split])
            case "groups of two splits" | "published so":
                groups = np.array(["p", "q", "q", split])
        return ImageData(images, labels, ids, groups)


def load(dataset: Dataset, cache: Path, split: str = "train", identity: str = "x") -> ImageData:
    return load_split(dataset, identity, split, DataSource(), cache)


def test_a_split_is_decoded_once(tmp_path: Path) -> None:
    dataset = Counted()
    first, again = load(dataset, tmp_path), load(dataset, tmp_path)
    assert dataset.loads == ["train"]
    assert np.array_equal(first.images, again.images)
    assert (again.ids.tolist(), again.labels is not None, again.groups) == (
        [f"train-{letter}" for letter in "abcd"],
        True,
        None,
    )
    load(dataset, tmp_path, "test")
    load(dataset, tmp_path, identity="y")
    assert dataset.loads == ["train", "test", "train"]


def test_images_are_mapped_and_not_read_whole(tmp_path: Path) -> None:
    assert isinstance(load(Counted(), tmp_path).images, np.memmap)


def test_ids_are_text_and_never_pickled(tmp_path: Path) -> None:
    assert load(Counted(fault="objects"), tmp_path).ids.dtype.kind == "U"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("dtype", r"images must be uint8 \(n, h, w, c\), got float64"),
        ("dtype", r".*got float64 .*\(images \* 255\)\.round\(\)\.astype\(np\.uint8\)"),
        ("shape", r"images must be uint8 \(n, h, w, c\), got uint8 \(4, 2, 3\); grey images have one channel"),
        (
            "channels first",
            r"images must be \(n, 2, 3, 1\) as describe\(\) says, got \(n, 1, 2, 3\); channels come last: "
            r"images\.transpose\(0, 2, 3, 1\)",
        ),
        ("size", r"images must be \(n, 2, 3, 1\) as describe\(\) says, got \(n, 2, 2, 1\)$"),
        ("labels", "3 labels for 4 images"),
        ("ids", "sample ids are not unique: 1 of 4 ids of 'train' repeat another one, such as 'a'"),
        ("float labels", r"labels must be integers of shape \(4,\), got float64"),
        ("range", r"labels run from 0 to 2, expected 0 to 1 \(multiclass\)"),
    ],
)
def test_the_author_of_a_data_set_hears_what_is_wrong(tmp_path: Path, fault: str, message: str) -> None:
    with pytest.raises(DataError, match=f"data set 'counted', split 'train': {message}"):
        load(Counted(fault=fault), tmp_path)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("ids of two splits", "3 sample ids are in 'train' and in 'test', such as 'a', 'b', 'c'.*as in 'test/a'"),
        (
            "groups of two splits",
            r"2 groups \(patients\) have images in 'train' and in 'test', such as 'p', 'q'; .*shared_groups=True",
        ),
    ],
)
def test_what_two_splits_share_is_found_with_the_second(tmp_path: Path, fault: str, message: str) -> None:
    dataset = Counted(fault=fault)
    load(dataset, tmp_path, "train")
    for _ in range(2):  # the split is not kept, so that the next run finds it again
        with pytest.raises(DataError, match=f"data set 'counted': {message}"):
            load(dataset, tmp_path, "test")


def test_groups_that_the_data_set_declares_are_counted(tmp_path: Path) -> None:
    dataset = Counted(fault="published so")
    load(dataset, tmp_path, "train")
    assert len(load(dataset, tmp_path, "test")) == 4


def test_a_damaged_cache_is_named(tmp_path: Path) -> None:
    load(Counted(), tmp_path)
    (folder,) = (tmp_path / "data").iterdir()
    (folder / "labels.npy").write_bytes(b"no array")
    opened.cache_clear()
    with pytest.raises(DataError, match=r"labels\.npy: the cache is damaged; delete"):
        load(Counted(), tmp_path)


def test_leftovers_of_a_killed_decoding_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "data" / ".tmp-dead").mkdir(parents=True)
    dataset = Counted()
    load(dataset, tmp_path)
    assert dataset.loads == ["train"]


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_pixels_become_floats_in_0_1(dtype: Any, top: int) -> None:
    images = np.array([0, top // 5, top], dtype=dtype).reshape(1, 1, 3, 1)
    converted = convert(images, (1, 1, 3))
    assert converted.dtype == torch.float32
    torch.testing.assert_close(converted.flatten(), torch.tensor([0.0, 0.2, 1.0]))


def test_channels_are_spread_and_weighed() -> None:
    grey = np.full((1, 2, 2, 1), 51, np.uint8)
    assert torch.equal(convert(grey, (3, 2, 2)), torch.full((1, 3, 2, 2), 0.2))
    colour = np.array([255, 0, 0, 0, 255, 0, 0, 0, 255], np.uint8).reshape(1, 1, 3, 3)
    torch.testing.assert_close(convert(colour, (1, 1, 3)).flatten(), torch.tensor([0.299, 0.587, 0.114]))


def test_resizing_keeps_constants_and_the_box() -> None:
    flat = np.full((2, 8, 8, 1), 100, np.uint8)
    torch.testing.assert_close(convert(flat, (1, 5, 7)), torch.full((2, 1, 5, 7), 100 / 255))
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), dtype=np.uint8)
    resized = convert(images, (1, 13, 13))
    assert 0 <= float(resized.min()) <= float(resized.max()) <= 1


@pytest.mark.parametrize(("norm", "order"), [("l2", 2), ("linf", np.inf), ("l1", 1), ("l0", 0)])
def test_the_mean_norm_is_the_mean_of_the_norms(
    grid: Callable[[str], Grid], core: Registry, tmp_path: Path, norm: Any, order: float
) -> None:
    found = expand(grid('[[grid]]\ndataset = "textures"\nmodel = "tiny-net"'), MetadataCache(DataSource(), core))
    cell = found[0].cell
    assert cell is not None
    loaded = load_part(cell.target.train, RunContext(tmp_path, cache=tmp_path))
    pixels = np.asarray(loaded.data.images, dtype=np.float64).reshape(40, -1) / 255
    assert mean_norm(loaded, norm) == pytest.approx(np.linalg.norm(pixels, ord=order, axis=1).mean(), rel=1e-6)


@dataclass(frozen=True)
class Large(Dataset):
    """100 images that are decoded on demand; it notes which."""

    name: ClassVar[str] = "large"
    decoded: list[int] = field(default_factory=list)
    fault: str = ""

    def describe(self, source: DataSource) -> DataInfo:
        return DataInfo(("a", "b"), (2, 3), 1)

    def load(self, split: str, source: DataSource) -> ImageData:
        def decode(number: int) -> Any:
            self.decoded.append(number)
            if self.fault == "unreadable" and number == 17:
                raise OSError("the disk is gone")
            return np.full((2, 3, 3 if self.fault == "shape" else 1), number, np.uint8)

        ids = np.array([f"image-{i}" for i in range(100)])
        return ImageData(OnDemand(decode, (100, 2, 3, 1)), np.arange(100) % 2, ids)


def large_slice(text: str, dataset: Large, cache: Path) -> ImageData:
    part = Part(Spec(None, dataset, "large", "large", {}), {}, Slice.parse(text), 0)  # type: ignore[arg-type]
    return load_slice(dataset, "x", part, DataSource(), cache)


def test_a_small_slice_of_images_on_demand_is_decoded_alone(tmp_path: Path) -> None:
    dataset = Large()
    data = large_slice("train[:10]", dataset, tmp_path)
    assert len(dataset.decoded) == 10
    # Each image is the one that its id names, and the slice is that of the whole split.
    assert [f"image-{n}" for n in data.images[:, 0, 0, 0]] == data.ids.tolist()
    whole = load(dataset, tmp_path / "other")
    chosen = cut(whole, Slice.parse("train[:10]"), 0)
    assert whole.ids[chosen].tolist() == data.ids.tolist()
    dataset.decoded.clear()
    again = large_slice("train[:10]", dataset, tmp_path)
    assert np.array_equal(again.images, data.images)
    assert dataset.decoded == []


def test_a_large_slice_is_taken_from_the_whole_and_so_is_any_once_that_is_there(tmp_path: Path) -> None:
    dataset = Large()
    half = large_slice("train[:50%]", dataset, tmp_path)
    assert sorted(dataset.decoded) == list(range(100))
    assert len(half) == 50
    assert [f"image-{n}" for n in half.images[:][:, 0, 0, 0]] == half.ids.tolist()
    large_slice("train[:10]", dataset, tmp_path)
    assert len(dataset.decoded) == 100


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("unreadable", "image 'image-17' cannot be decoded: the disk is gone"),
        ("shape", r"image 'image-\d+' is decoded as uint8 \(2, 3, 3\); .* uint8 \(2, 3, 1\)"),
    ],
)
def test_an_image_on_demand_that_is_none_is_named(tmp_path: Path, fault: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(Large(fault=fault), tmp_path)
    assert not list((tmp_path / "data").iterdir())


def test_decoding_on_demand_reports_its_progress(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    load_split(Large(), "x", "train", DataSource(None, lambda *p: told.append(p)), tmp_path)
    assert told == [(64, 100), (100, 100)]


def test_a_slice_that_holds_nothing_is_named(grid: Callable[[str], Grid], core: Registry, tmp_path: Path) -> None:
    text = '[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nevaluate_on = "test[1000:]"'
    (entry,) = expand(grid(text), MetadataCache(DataSource(), core))
    assert entry.cell is not None
    with pytest.raises(
        DataError,
        match=r"slice 'test\[1000:\]' of data set 'textures' contains no image; its split has 24 of 12 groups",
    ):
        load_part(entry.cell.part, RunContext(tmp_path, cache=tmp_path))
