"""Features of two classes, and of adversarial images that stand apart from both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medrobust import Features, Learning

Seen = Callable[..., Features]
Known = Callable[..., Learning]
CLASSES = ("NORMAL", "PNEUMONIA")
LAYER = "penultimate"


def features(count: int, seed: int, shift: float = 0.0, width: int = 6) -> Features:
    """Images of two classes, whose features lie around -2 and +2, moved along the last by `shift`."""
    draws = np.random.default_rng(seed)
    predicted = np.arange(count) % 2
    values = draws.normal(size=(count, width)) + np.where(predicted == 0, -2.0, 2.0)[:, None]
    values[:, -1] += shift
    return Features({LAYER: values.astype(np.float32)}, predicted)


@pytest.fixture
def seen() -> Seen:
    """Features of so many images: `seen(count, seed, shift=...)`."""
    return features


@pytest.fixture
def learning() -> Known:
    """What a detector learns from; `learning(train=..., judged=...)` replaces parts of it."""

    def learning(**other: Any) -> Learning:
        train = features(120, 2)
        labels: NDArray[np.int64] = train.predicted
        given: dict[str, Any] = {
            "clean": features(60, 0),
            "adversarial": features(60, 1, shift=4.0),
            "train": lambda: (train, labels),
            "classes": CLASSES,
            "seed": 0,
        }
        return Learning(**{**given, **other})

    return learning
