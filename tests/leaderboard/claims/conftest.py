"""Claims and the cells they are about, made by hand; tests take `make`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from medrobust.api import Record
from medrobust_leaderboard.claims import BoundClaim, ComparisonClaim, TrendClaim
from medrobust_leaderboard.claims.members import Item


def record(right: int, n: int = 200, *, first_right: int = 0, target: int | None = None) -> Record:
    """A two-class record: all correct when clean; under attack, `right` images in a row from `first_right` are."""
    labels = np.arange(n) % 2
    clean = np.eye(2, dtype=np.float32)[labels] * 4
    adversarial = clean[:, ::-1].copy()
    kept = slice(first_right, first_right + right)
    adversarial[kept] = clean[kept]
    zeros = np.zeros(n, dtype=np.float32)
    ids = np.array([f"image-{i}" for i in range(n)])
    return Record("multiclass", ids, labels.astype(np.int64), clean, adversarial, zeros, zeros, None, target)


def item(content: Record | int | None, *, images: str = "test", absent: str = "not computed", **labels: str) -> Item:
    """A cell with labels; a number is that of the images that stay correct, of 200."""
    row = {"dataset": "skin", "attack": "PGD", "budget": "linf:1/255", "model": "net", "seed": "0"} | labels
    found = record(content) if isinstance(content, int) else content
    return Item(row, " ".join(row.values()), images, ("benign", "malignant"), found, absent)


def bound(**keys: Any) -> BoundClaim:
    return BoundClaim(**{"id": "c1", "text": "Few images survive.", "section": "4.2", "metric": "accuracy"} | keys)


def comparison(**keys: Any) -> ComparisonClaim:
    basis = {"id": "c1", "text": "PGD beats FGSM.", "section": "4.2", "metric": "accuracy"}
    sides = {"left": {"attack": "PGD"}, "right": {"attack": "FGSM"}, "pair_on": ["dataset"], "direction": "less"}
    return ComparisonClaim(**basis | sides | keys)


def trend(**keys: Any) -> TrendClaim:
    basis = {"id": "c1", "text": "Accuracy falls.", "section": "4.2", "metric": "accuracy"}
    return TrendClaim(**basis | {"along": "eps", "direction": "decreasing", "pair_on": ["dataset"]} | keys)


def series(*right: int) -> list[Item]:
    return [item(count, budget=f"linf:{n}/255", eps=f"{n}") for n, count in enumerate(right, 1)]


def models(*right: int) -> list[Item]:
    return [item(count, model=f"net{n}") for n, count in enumerate(right)]


def seeds(*right: int, **labels: str) -> list[Item]:
    return [item(count, seed=str(n), **labels) for n, count in enumerate(right)]


def pairs(count: int, right: int) -> list[Item]:
    """PGD and FGSM on several models, on images of their own; FGSM leaves 20 of 200."""
    sides = (("PGD", right), ("FGSM", 20))
    return [item(n, model=f"net{m}", attack=a, images=f"{m}{a}") for m in range(count) for a, n in sides]


@pytest.fixture
def make() -> SimpleNamespace:
    """The functions of this file."""
    functions = (record, item, bound, comparison, trend, series, models, seeds, pairs)
    return SimpleNamespace(**{function.__name__: function for function in functions})
