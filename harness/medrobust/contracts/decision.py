"""The one rule by which logits become a decision, for tensors and for arrays alike."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Logits = TypeVar("Logits", Tensor, NDArray[Any])


def predictions(logits: Logits) -> Logits:
    """Multi-class decision: the index of the largest logit, the first of equal ones, int64 (n,).

    A network with a single output (n, 1) is a binary one with a sigmoid: class 1 where its logit is positive.
    """
    if logits.shape[1] == 1:
        return _as_integers(logits[:, 0] > 0)
    largest: Logits = logits.argmax(1)
    return largest


def decisions(logits: Logits) -> Logits:
    """Multi-label decision at probability 0.5: 0/1 matrix, int64 (n, labels)."""
    return _as_integers(logits > 0)


def decide(logits: Logits, *, multilabel: bool) -> Logits:
    """The model's decision in the form its labels have."""
    return decisions(logits) if multilabel else predictions(logits)


def _as_integers(mask: Logits) -> Logits:
    return mask.long() if isinstance(mask, Tensor) else np.asarray(mask, dtype=np.int64)
