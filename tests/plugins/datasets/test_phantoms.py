"""Phantoms are reproducible, image by image, and never mix patients; what they look like is in docs/phantoms.png."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest

from medrobust import SPLITS, DataError, DataSource, ImageData
from medrobust_datasets.phantoms import (
    PhantomCXR,
    PhantomDerm,
    PhantomFundus,
    PhantomHistology,
    PhantomNatural,
    PhantomOCT,
)
from medrobust_datasets.phantoms.streams import Roster

SOURCE = DataSource()
SMALL = {"train": 40, "val": 12, "test": 20}
PHANTOMS: list[Any] = [
    PhantomCXR(**SMALL),
    PhantomCXR(classes=3, **SMALL),
    PhantomCXR(classes=4, **SMALL),
    PhantomFundus(**SMALL),
    PhantomDerm(**SMALL),
    PhantomDerm(classes=7, **SMALL),
    PhantomCXR(task="multilabel", **SMALL),
    PhantomOCT(**SMALL),
    PhantomHistology(**SMALL),
    PhantomHistology(classes=4, **SMALL),
    PhantomNatural(**SMALL),
]
every_phantom = pytest.mark.parametrize("phantom", PHANTOMS, ids=lambda p: f"{p.name}-{len(p.class_names)}")


def same(first: ImageData, second: ImageData) -> bool:
    return all(np.array_equal(getattr(first, k), getattr(second, k)) for k in ("images", "labels", "ids", "groups"))


@every_phantom
def test_says_what_it_gives(phantom: Any) -> None:
    info = phantom.describe(SOURCE)
    data = phantom.load("train", SOURCE)
    assert info.grouped
    assert info.splits == SPLITS
    assert data.images.dtype == np.uint8
    assert data.images.shape == (40, *info.size, info.channels)
    assert data.labels.dtype == np.int64
    assert phantom.licence
    assert phantom.licence == "CC0-1.0"
    if info.task == "multiclass":
        assert data.labels.shape == (40,)
        assert 0 <= data.labels.min() <= data.labels.max() < len(info.classes)
    else:
        assert data.labels.shape == (40, len(info.classes))
        assert set(np.unique(data.labels)) == {0, 1}


@every_phantom
def test_uses_the_grey_scale(phantom: Any) -> None:
    images = phantom.load("train", SOURCE).images
    low, high = np.quantile(images, [0.02, 0.98])
    assert high - low > 80, "contrast is lost"
    assert np.mean(images == 255) < 0.02, "highlights are cut off"
    assert images.reshape(len(images), -1).std(axis=1).min() > 8, "an image is nearly empty"


@every_phantom
def test_is_drawn_alike_every_time(phantom: Any) -> None:
    assert same(phantom.load("test", SOURCE), phantom.load("test", SOURCE))


@every_phantom
def test_an_image_does_not_depend_on_how_many_are_drawn(phantom: Any) -> None:
    whole, part = phantom.load("test", SOURCE), replace(phantom, test=7).load("test", SOURCE)
    assert same(whole.take(np.arange(7)), part)


@pytest.mark.long
def test_an_image_does_not_depend_on_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [phantom.load("test", SOURCE) for phantom in PHANTOMS]
    monkeypatch.setattr("medrobust_datasets.phantoms.base.PIXELS_AT_ONCE", 3 * 32**2)
    assert all(same(phantom.load("test", SOURCE), data) for phantom, data in zip(PHANTOMS, expected, strict=True))


@every_phantom
@pytest.mark.parametrize("size", [28, 97, 256])
def test_size_changes_the_sampling_not_the_content(phantom: Any, size: int) -> None:
    few = replace(phantom, test=6)
    small, large = few.load("test", SOURCE), replace(few, size=size).load("test", SOURCE)
    assert large.images.shape[1:3] == (size, size)
    assert np.array_equal(small.labels, large.labels)
    assert np.array_equal(small.groups, large.groups)
    for image, other in zip(_coarse(small.images), _coarse(large.images), strict=True):
        assert np.corrcoef(image.ravel(), other.ravel())[0, 1] > 0.9


def _coarse(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Grey images averaged over 7 x 7 fields."""
    edges = np.linspace(0, images.shape[1], 8).astype(int)
    rows = np.stack([images[:, a:b].mean(axis=1) for a, b in pairwise(edges)], axis=1)
    return np.stack([rows[:, :, a:b].mean(axis=(2, 3)) for a, b in pairwise(edges)], axis=2)


@every_phantom
def test_patients_have_several_images_and_stay_in_one_split(phantom: Any) -> None:
    splits = [phantom.load(split, SOURCE) for split in SPLITS]
    ids = np.concatenate([data.ids for data in splits])
    groups = [set(data.groups) for data in splits]
    assert len(set(ids)) == len(ids)
    assert all(first.isdisjoint(second) for first, second in combinations(groups, 2))
    counts = np.unique(splits[0].groups, return_counts=True)[1]
    assert counts.max() <= 4
    assert np.mean(counts >= 2) > 0.9


@every_phantom
def test_images_of_a_patient_are_not_copies(phantom: Any) -> None:
    data = phantom.load("train", SOURCE)
    flat = data.images.reshape(len(data), -1).astype(np.float64)
    distance = np.abs(flat[:, None] - flat[None]).mean(axis=2)
    assert distance[~np.eye(len(data), dtype=bool)].min() > 1


def test_anatomy_is_drawn_once_a_patient_and_the_rest_once_an_image() -> None:
    roster = Roster.of("phantom-cxr", 0, "train", 40)
    batch = roster.batch(np.arange(40))
    same_patient = roster.patients[:, None] == roster.patients[None]
    anatomy, view = batch.patient.uniform(0, 1), batch.view.uniform(0, 1)
    assert np.array_equal(anatomy[:, None] == anatomy[None], same_patient)
    assert np.array_equal(batch.position[:, None] == batch.position[None], same_patient)
    assert len(set(view)) == 40


@every_phantom
def test_splits_and_seeds_differ(phantom: Any) -> None:
    test = phantom.load("test", SOURCE).images[:12]
    assert np.mean(test == phantom.load("val", SOURCE).images[:12]) < 0.5
    assert np.mean(test == replace(phantom, seed=1).load("test", SOURCE).images[:12]) < 0.5


def test_lesions_of_one_group_share_the_label() -> None:
    data = PhantomDerm(classes=7, **SMALL).load("train", SOURCE)
    assert all(len(set(data.labels[data.groups == group])) == 1 for group in set(data.groups))


@pytest.mark.long
def test_rare_classes_are_in_every_split() -> None:
    phantom = PhantomDerm(classes=7)
    roster = {split: np.bincount(_labels(phantom, split), minlength=7) for split in SPLITS}
    assert all(counts.min() >= 2 for counts in roster.values())
    share = roster["train"] / roster["train"].sum()
    assert phantom.class_names[int(share.argmax())] == "NV"
    assert 0.6 < share.max() < 0.7
    assert share.min() < 0.04


def _labels(phantom: Any, split: str) -> np.ndarray[Any, Any]:
    labels: np.ndarray[Any, Any] = replace(phantom, size=28).load(split, SOURCE).labels
    return labels


def test_progress_is_reported_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    PhantomCXR(train=300).load("train", DataSource(progress=lambda done, total: seen.append((done, total))))
    assert len(seen) > 1
    assert seen[-1] == (300, 300)


def test_labels_of_fourteen_findings_are_not_classes() -> None:
    with pytest.raises(ValueError, match=r"classes = 4 and task = 'multilabel'.*leave out classes"):
        PhantomCXR(task="multilabel", classes=4)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(DataError, match="no split 'dev'; it has train, val, test"):
        PhantomFundus(**SMALL).load("dev", SOURCE)
