"""What a record says of each image: decision, correctness, confidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..contracts import decide
from .record import Record

Decisions = NDArray[np.int64]
Mask = NDArray[np.bool_]


def decisions(record: Record, logits: NDArray[np.float32]) -> Decisions:
    """Decision per image in the form its labels have: class indices (n,), or a 0/1 matrix at probability 0.5."""
    return decide(logits, multilabel=record.task == "multilabel")


def same(first: Decisions, second: Any) -> Mask:
    """Whether two decisions agree, per image: all labels of it for multi-label tasks."""
    equal = np.asarray(first == second)
    return equal if equal.ndim == 1 else np.asarray(equal.all(axis=1))


def correct(record: Record, logits: NDArray[np.float32]) -> Mask:
    """Whether the decision equals the label; for multi-label tasks every label of the image (subset accuracy)."""
    return same(decisions(record, logits), labels(record))


def labels(record: Record) -> NDArray[np.int64]:
    """The labels of a record that has them; metrics without labels never come here."""
    if record.labels is None:
        raise ValueError("the record has no labels")
    return record.labels


def class_count(record: Record) -> int:
    """Number of classes (labels, for multi-label tasks)."""
    outputs = record.clean.shape[1]
    return 2 if record.task == "multiclass" and outputs == 1 else outputs


def class_names(count: int) -> list[str]:
    """How reasons and notes speak of classes; tables know their real names."""
    return [f"class {index}" for index in range(count)]


def log_odds(logits: NDArray[np.float32], index: int) -> NDArray[np.float64]:
    """Log-odds of one class against the rest under the softmax, free of its saturation; two classes: the difference."""
    wide = logits.astype(np.float64)
    if wide.shape[1] == 1:
        return wide[:, 0] if index == 1 else -wide[:, 0]
    rest = np.delete(wide, index, axis=1)
    return np.asarray(wide[:, index] - (rest[:, 0] if rest.shape[1] == 1 else special.logsumexp(rest, axis=1)))


def confidence(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probability of the most probable class (n,), in double precision."""
    wide = logits.astype(np.float64)
    if wide.shape[1] == 1:
        return np.asarray(special.expit(np.abs(wide[:, 0])))
    return np.asarray(1 / np.exp(wide - wide.max(axis=1, keepdims=True)).sum(axis=1))


def take(record: Record, index: NDArray[np.intp]) -> Record:
    """The images of a record at these positions, in this order; a position may come twice."""
    return replace(
        record,
        ids=record.ids[index],
        labels=None if record.labels is None else record.labels[index],
        clean=record.clean[index],
        adversarial=record.adversarial[index],
        l2=record.l2[index],
        linf=record.linf[index],
        groups=None if record.groups is None else record.groups[index],
        clean_more=None if record.clean_more is None else record.clean_more[index],
        adversarial_more=None if record.adversarial_more is None else record.adversarial_more[index],
        clean_scores=None if record.clean_scores is None else record.clean_scores[index],
        scores=None if record.scores is None else record.scores[index],
        l1=None if record.l1 is None else record.l1[index],
        l0=None if record.l0 is None else record.l0[index],
    )


def select(record: Record, mask: Mask) -> NDArray[np.str_] | None:
    """The groups of some of the images."""
    return None if record.groups is None else record.groups[mask]
