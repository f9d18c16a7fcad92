"""Sizes of parts without decoding: shares, numbers, and what oversampling adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest

from medrobust import DataInfo, Dataset, DataSource, DataUnavailable, ImageData, Members, Recipe
from medrobust.engine.sizes import Size, Sizes
from medrobust.grid.parts import Part
from medrobust.grid.slices import Slice, cut
from medrobust.plugins.specs import Spec

LABELS = [0] * 120 + [1] * 60 + [2] * 20


@dataclass(frozen=True)
class Register(Dataset):
    """200 images whose ids and labels are known, and whose pixels nobody may ask for."""

    name: ClassVar[str] = "register"
    known: bool = True
    asked: list[str] = field(default_factory=list)

    def describe(self, source: DataSource) -> DataInfo:
        return DataInfo(("a", "b", "c"), (8, 8), 1)

    def load(self, split: str, source: DataSource) -> ImageData:
        raise AssertionError("decoded")

    def members(self, source: DataSource) -> Mapping[str, Members] | None:
        self.asked.append("members")
        if not self.known:
            raise DataUnavailable("gone")
        return {"train": Members([f"i{n}" for n in range(200)], labels=LABELS), "test": Members(["t"])}


def part(dataset: Dataset, text: str, limit: int | None = None) -> Part:
    spec: Any = Spec(None, dataset, "register", "register", {})  # type: ignore[arg-type]
    return Part(spec, {"name": dataset.name}, Slice.parse(text).thinned(limit), 0)


@pytest.mark.parametrize(
    ("text", "images"),
    [("train", 200), ("train[:50%]", 100), ("train[25%:75%]", 100), ("train[:30]", 30), ("train[150:]", 50)],
)
def test_sizes_are_those_of_the_slices(text: str, images: int) -> None:
    found = Sizes(DataSource()).of(part(Register(), text))
    assert found is not None
    assert found.images == images
    ids = np.array([f"i{n}" for n in range(200)])
    data = ImageData(np.zeros((200, 1, 1, 1), np.uint8), np.array(LABELS), ids)
    assert abs(len(cut(data, Slice.parse(text), 0)) - images) <= 2


def test_thinned_parts_and_unknown_ones() -> None:
    dataset = Register()
    sizes = Sizes(DataSource())
    assert sizes.of(part(dataset, "train", 7)) == Size(7, (round(120 * 7 / 200), 3))
    assert sizes.of(part(dataset, "val")) is None
    assert dataset.asked == ["members"]
    assert Sizes(DataSource()).of(part(Register(known=False), "train")) is None


def test_an_epoch_of_oversampled_classes_takes_the_largest_as_often_as_there_are_classes() -> None:
    whole = Sizes(DataSource()).of(part(Register(), "train"))
    assert whole is not None
    assert whole.epoch(Recipe()) == 200
    assert whole.epoch(Recipe(balance="weights")) == 200
    assert whole.epoch(Recipe(balance="oversample")) == 360
    half = Sizes(DataSource()).of(part(Register(), "train[:50%]"))
    assert half is not None
    assert half.epoch(Recipe(balance="oversample")) == 180
