"""Two records of one cell: equal, equal within rounding, or different and by how much."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrobust.results.agreement import TOLERANCE, compare_samples, differing
from medrobust.results.samples import Samples


def samples(count: int = 4, **more: Any) -> Samples:
    rng = np.random.default_rng(0)
    return Samples(
        ids=np.array([f"s{i}" for i in range(count)]),
        groups=np.array([f"g{i // 2}" for i in range(count)]),
        labels=np.arange(count) % 2,
        logits=rng.normal(size=(count, 2)).astype(np.float32),
        l2=np.ones(count, np.float32),
        linf=np.full(count, 0.1, np.float32),
        **more,
    )


def moved(name: str, image: int, by: float, of: Samples | None = None) -> Samples:
    of = of or samples()
    values = getattr(of, name).copy()
    values[image] += np.float32(by)
    return replace(of, **{name: values})


def test_equal_records_are_equal_bit_by_bit() -> None:
    assert compare_samples(samples(), samples(), multilabel=False).degree == "equal"
    signed = replace(samples(), linf=np.zeros(4, np.float32)), replace(samples(), linf=-np.zeros(4, np.float32))
    assert compare_samples(*signed, multilabel=False).degree == "rounding"


@pytest.mark.parametrize("name", ["logits", "l2", "linf"])
def test_what_rounding_may_do_is_told_from_more(name: str) -> None:
    within = compare_samples(samples(), moved(name, 2, 0.5 * TOLERANCE), multilabel=False)
    assert (within.degree, within.images) == ("rounding", ())
    assert within.largest == pytest.approx(0.5 * TOLERANCE, rel=0.01)
    assert within.detail.startswith(f"{name} differ by up to 5e-05")
    beyond = compare_samples(samples(), moved(name, 2, 2 * TOLERANCE), multilabel=False)
    assert (beyond.degree, beyond.images) == ("different", ("s2",))
    assert f"{name} differ by up to 0.0002, in 1 of 4 images by too much (0 other decisions): s2" == beyond.detail


def test_large_logits_round_by_more() -> None:
    large = replace(samples(), logits=samples().logits * 1000)
    assert compare_samples(large, moved("logits", 0, 0.01, large), multilabel=False).degree == "rounding"
    assert compare_samples(large, moved("logits", 0, 1.0, large), multilabel=False).degree == "different"


def test_images_come_furthest_apart_first_and_decisions_are_counted() -> None:
    again = moved("logits", 3, 1.0, moved("l2", 1, 7.0))
    flipped = replace(again, logits=again.logits.copy())
    flipped.logits[0] = flipped.logits[0, ::-1]
    found = compare_samples(samples(), flipped, multilabel=False)
    assert found.images[0] == "s1"
    assert set(found.images) == {"s0", "s1", "s3"}
    assert "in 3 of 4 images by too much (1 other decisions): s1, " in found.detail


def test_every_draw_of_a_random_model_counts() -> None:
    drawn = samples(more_logits=np.ones((4, 2, 2), np.float32))
    again = moved("more_logits", 1, 0.5, drawn)
    assert compare_samples(drawn, drawn, multilabel=False).degree == "equal"
    assert compare_samples(drawn, again, multilabel=False).images == ("s1",)
    fewer = compare_samples(drawn, samples(), multilabel=False)
    assert fewer.detail == "logits of shape (3, 2) in the store, (1, 2) here"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ids": np.array(["s0", "x", "s2", "s3"])}, "the image is s1 in the store, x here (1 such)"),
        ({"labels": np.array([0, 1, 1, 1])}, "the label of s2 is 0 in the store, 1 here (1 such)"),
        ({"labels": None}, "the labels are there in the store and not here"),
        ({"groups": np.array(["g0", "g0", "g1", "g9"])}, "the group of s3 is g1 in the store, g9 here (1 such)"),
    ],
)
def test_other_images_are_named(change: dict[str, Any], words: str) -> None:
    found = compare_samples(samples(), replace(samples(), **change), multilabel=False)
    assert (found.degree, found.detail) == ("different", words)
    assert compare_samples(samples(4), samples(3), multilabel=False).detail == "4 images in the store, 3 here"


@given(st.floats(width=32))
def test_numbers_that_are_none_are_different(value: float) -> None:
    changed = replace(samples(), logits=samples().logits.copy())
    changed.logits[1, 0] = value
    found = compare_samples(changed, samples(), multilabel=False).degree
    assert found == "different" or math.isclose(value, samples().logits[1, 0], abs_tol=TOLERANCE)


def test_columns_that_differ_are_named_with_both_values() -> None:
    row = {
        "eps": 0.1,
        "norm": "l2",
        "target_class": float("nan"),
        "classes": np.array(["a"]),
        "draws": 1.0,
        "white_box": True,
    }
    assert not list(differing(row, {**row, "target_class": None, "classes": ["a"], "draws": 1, "eps": 0.1 + 1e-9}, row))
    told = dict(differing(row, {**row, "norm": "linf", "eps": 0.2, "target_class": 1}, row))
    assert told == {
        "eps": "eps is 0.1 in the store, 0.2 here",
        "norm": "norm is 'l2' in the store, 'linf' here",
        "target_class": "target_class is absent in the store, 1 here",
    }


def test_scores_of_a_detector_are_compared_and_images_without_one_are_equal() -> None:
    scores = np.array([0.1, np.nan, 0.3, np.nan])
    scored = samples(clean_scores=scores, scores=scores + 1)
    assert compare_samples(scored, samples(clean_scores=scores, scores=scores + 1), multilabel=False).degree == "equal"
    other = compare_samples(scored, samples(clean_scores=scores, scores=scores + 1.01), multilabel=False)
    assert (other.degree, other.images) == ("different", ("s0", "s2"))
    assert other.detail.startswith("scores differ by up to 0.01, in 2 of 4 images by too much")
    elsewhere = samples(clean_scores=scores, scores=np.array([1.1, 1.2, 1.3, np.nan]))
    assert compare_samples(scored, elsewhere, multilabel=False).images == ("s1",)
    assert compare_samples(scored, samples(), multilabel=False).detail == "clean scores of a detector are not here"
    assert compare_samples(samples(), scored, multilabel=False).detail == "clean scores of a detector are here only"
