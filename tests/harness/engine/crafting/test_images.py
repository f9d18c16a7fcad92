"""The images that universal attacks are given: the same whether they stay in memory or not, in a seeded order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medrobust import DataInfo, ImageData
from medrobust.engine.crafting.images import PartImages, crafting_order
from medrobust.engine.data import LoadedPart

IDS = np.array([f"class-{i // 50}/image-{i % 50}" for i in range(200)])


@pytest.fixture
def part() -> LoadedPart:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)
    data = ImageData(pixels, np.arange(20) % 2, np.array([f"i{n}" for n in range(20)]))
    return LoadedPart(data, DataInfo(("a", "b"), (6, 5), 3), (3, 9, 8))


@pytest.mark.parametrize("resident", [0, 10**6], ids=["read", "resident"])
def test_they_are_indexed_like_a_tensor(part: LoadedPart, resident: int) -> None:
    order = np.random.default_rng(1).permutation(20)
    images = PartImages(part, "cpu", order, resident=resident)
    whole = part.tensor(order)
    assert (len(images), images.shape, images.device) == (20, whole.shape, whole.device)
    for index in (slice(None), slice(3, 9), 4, torch.tensor([7, 0, 7]), torch.tensor([], dtype=torch.int64)):
        assert torch.equal(images[index], whole[index])
    assert torch.equal(PartImages(part, "cpu", resident=resident)[:], part.tensor(slice(None)))


def test_the_order_is_a_permutation_that_mixes_classes() -> None:
    order = crafting_order(0, IDS)
    assert sorted(order.tolist()) == list(range(200))
    # By file names, the first 50 images would be of one class of four.
    assert np.bincount(order[:50] // 50, minlength=4).min() >= 5
    assert np.array_equal(order, crafting_order(0, IDS))
    assert not np.array_equal(order, crafting_order(1, IDS))


def test_the_order_does_not_depend_on_other_images_or_on_the_order_of_files() -> None:
    whole = IDS[crafting_order(3, IDS)]
    some = np.sort(np.random.default_rng(0).choice(200, 60, replace=False))
    assert IDS[some][crafting_order(3, IDS[some])].tolist() == [i for i in whole if i in set(IDS[some])]
    backwards = IDS[::-1]
    assert backwards[crafting_order(3, backwards)].tolist() == whole.tolist()
