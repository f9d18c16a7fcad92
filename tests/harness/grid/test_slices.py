"""Slices: whole groups, stratified, nested, and nothing lost between complementary ones."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medrobust import ImageData
from medrobust.grid.slices import Slice, cut


def data(labels: list[int] | None, groups: list[int] | None = None, count: int | None = None) -> ImageData:
    n = len(labels) if labels is not None else count or 0
    return ImageData(
        np.zeros((n, 1, 1, 1), np.uint8),
        None if labels is None else np.array(labels, dtype=np.int64),
        np.array([f"s{i}" for i in range(n)]),
        None if groups is None else np.array([f"g{g}" for g in groups]),
    )


@st.composite
def grouped(draw: st.DrawFn) -> ImageData:
    n = draw(st.integers(1, 60))
    labels = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    groups = draw(st.none() | st.lists(st.integers(0, n // 2), min_size=n, max_size=n))
    return data(labels, groups)


def taken(images: ImageData, text: str, seed: int = 0) -> set[int]:
    index = cut(images, Slice.parse(text), seed)
    assert (np.diff(index) > 0).all()
    return set(index.tolist())


bounds = st.one_of(st.integers(1, 99).map(lambda p: f"{p}%"), st.integers(1, 50).map(str))


@pytest.mark.long
@settings(max_examples=60, deadline=None)
@given(grouped(), bounds, st.integers(0, 3))
def test_complementary_slices_share_nothing_and_miss_nothing(images: ImageData, bound: str, seed: int) -> None:
    first, second = taken(images, f"train[:{bound}]", seed), taken(images, f"train[{bound}:]", seed)
    assert not first & second
    assert first | second == set(range(len(images)))


@settings(max_examples=60, deadline=None)
@given(grouped(), st.integers(1, 49), st.integers(50, 99))
def test_slices_nest(images: ImageData, low: int, high: int) -> None:
    assert taken(images, f"train[:{low}%]") <= taken(images, f"train[:{high}%]")
    assert taken(images, f"train[{high}%:]") <= taken(images, f"train[{low}%:]")
    inner = taken(images, f"train[{low}%:{high}%]")
    assert inner == taken(images, f"train[{low}%:]") & taken(images, f"train[:{high}%]")


@settings(max_examples=60, deadline=None)
@given(grouped(), bounds)
def test_groups_stay_whole(images: ImageData, bound: str) -> None:
    if images.groups is not None:
        first, second = taken(images, f"train[:{bound}]"), taken(images, f"train[{bound}:]")
        assert not {images.groups[i] for i in first} & {images.groups[i] for i in second}


def test_every_class_keeps_its_share() -> None:
    labels = [0] * 400 + [1] * 100 + [2] * 20
    for percent in (10, 25, 50, 90):
        chosen = np.array(labels)[sorted(taken(data(labels), f"train[:{percent}%]"))]
        for label, total in ((0, 400), (1, 100), (2, 20)):
            assert (chosen == label).sum() == pytest.approx(total * percent / 100, abs=0.5)


def test_counts_count_images_and_keep_the_shares() -> None:
    labels = [0] * 300 + [1] * 100
    chosen = np.array(labels)[sorted(taken(data(labels), "train[:40]"))]
    assert len(chosen) == 40
    assert (chosen == 0).sum() == 30
    assert len(taken(data(labels), "train[100:250]")) == 150
    assert len(taken(data(labels), "train[:1000]")) == 400


def test_halves_of_groups_are_halves_of_the_images() -> None:
    labels = [g % 2 for g in range(50) for _ in range(4)]
    groups = [g for g in range(50) for _ in range(4)]
    assert abs(len(taken(data(labels, groups), "train[:50%]")) - 100) <= 4


def test_the_order_depends_on_seed_and_names_alone() -> None:
    labels = [i % 2 for i in range(40)]
    assert taken(data(labels), "train[:50%]", 0) != taken(data(labels), "train[:50%]", 1)
    images = data(labels)
    reordered = images.take(np.arange(40)[::-1].copy())
    half = {images.ids[i] for i in taken(images, "train[:50%]")}
    assert {reordered.ids[i] for i in taken(reordered, "train[:50%]")} == half


def test_unlabelled_and_multilabel_data_are_one_stratum() -> None:
    assert len(taken(data(None, count=20), "train[:50%]")) == 10
    matrix = ImageData(
        np.zeros((20, 1, 1, 1), np.uint8), np.eye(2, dtype=np.int64)[[0, 1] * 10], np.array([f"{i}" for i in range(20)])
    )
    assert len(taken(matrix, "train[25%:75%]")) == 10


def test_thinning_keeps_about_as_many_and_at_least_one_group() -> None:
    labels = [0] * 30 + [1] * 10
    assert len(cut(data(labels), Slice.parse("test").thinned(8), 0)) == 8
    assert len(cut(data(labels), Slice.parse("test").thinned(None), 0)) == 40
    one_patient = data([0] * 12, [0] * 12)
    assert len(cut(one_patient, Slice.parse("test").thinned(1), 0)) == 12


@pytest.mark.parametrize(
    ("text", "start", "stop"),
    [
        ("train", Fraction(0), None),
        ("train[:50%]", Fraction(0), Fraction(1, 2)),
        ("val[50%:]", Fraction(1, 2), None),
        ("test[ 12.5% : 1000 ]", Fraction(1, 8), 1000),
        ("train[:]", Fraction(0), None),
    ],
)
def test_slices_read_what_they_mean(text: str, start: object, stop: object) -> None:
    parsed = Slice.parse(text)
    assert (parsed.start, parsed.stop) == (start, stop)
    again = Slice.parse(str(parsed))
    assert (again.start, again.stop) == (start, stop)


@given(st.fractions(0, 1, max_denominator=10**9).filter(lambda f: 0 < f < 1))
def test_slices_that_differ_are_written_differently(share: Fraction) -> None:
    other = share + Fraction(1, 10**8)
    if other < 1:
        assert str(Slice("train", stop=share)) != str(Slice("train", stop=other))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tain", "no split is called 'tain'; did you mean 'train'?"),
        ("train[50%]", "is not a valid slice; write test, train"),
        ("train[:150%]", "'150%' is neither a share between 0% and 100% nor a number of images"),
        ("train[:-5]", "a number of images cannot be negative"),
        ("train[:half]", "'half' is neither a share"),
        ("train[50%:50%]", "is empty"),
        ("train[200:100]", "is empty"),
        ("train[:0]", "is empty"),
        ("train[100%:]", "is empty"),
        ("", "is not a valid slice"),
        ("train[:1/0%]", "neither a share"),
    ],
)
def test_what_is_no_slice_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        Slice.parse(text)
    assert message in str(caught.value)
