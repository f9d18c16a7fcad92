"""Whether a model's outputs stand in the order of the data set's classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..outcomes import decisions, labels
from ..record import Record
from .trial import LEVEL, Result, fewer

ORDER = "outputs are in the order of the classes"
GAIN = 0.1
"""Accuracy that another order must add before it is worth a flag."""


@dataclass(frozen=True)
class OtherOrder:
    """An order of the outputs in which significantly more clean images are correct.

    Attributes:
        meaning: the class that each output means.
        now, then: share of the images tested that are correct as it is, and in this order.
    """

    meaning: tuple[int, ...]
    now: float
    then: float


def order_of_classes(record: Record | None) -> Result:
    """Whether another order of the outputs gives significantly more correct clean images."""
    if record is None or record.labels is None or record.task == "multilabel":
        return "not checked", "only for one class an image"
    decided, truth = decisions(record, record.clean), labels(record)
    classes = max(int(decided.max(initial=1)), int(truth.max(initial=1)), record.clean.shape[1] - 1) + 1
    found = other_order(decided, truth, classes)
    if found is None:
        return "passed", ""
    return "flagged", f"{found.now:.0%} correct when clean, {found.then:.0%} with outputs in another order"


def other_order(decided: NDArray[np.int64], truth: NDArray[np.int64], classes: int) -> OtherOrder | None:
    """The order of the outputs that fits the labels significantly better than theirs; None if there is none.

    The order is sought on one half of the images and tested on the other, so that a search among all orders finds
    nothing by chance.

    Args:
        decided, truth: classes of the images (n,).
        classes: how many there are.
    """
    sought = halves(len(truth), classes)
    meaning = best_order(decided[sought], truth[sought], classes)
    if (meaning == np.arange(classes)).all():
        return None
    as_it_is, reordered = (decided == truth)[~sought], (meaning[decided] == truth)[~sought]
    gain = float(reordered.mean() - as_it_is.mean()) if len(as_it_is) else 0.0
    if gain < GAIN or fewer(as_it_is, reordered) >= LEVEL:
        return None
    return OtherOrder(tuple(int(i) for i in meaning), float(as_it_is.mean()), float(reordered.mean()))


def halves(images: int, classes: int) -> NDArray[np.bool_]:
    """One half of the images (n,), with each class in it where classes take turns."""
    return np.asarray(np.arange(images) // classes % 2 == 0, dtype=np.bool_)


def best_order(decided: NDArray[np.int64], truth: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """The class that each output means, for most images to be correct (classes,)."""
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (decided, truth), 1)
    own = np.diagonal(table)
    if (own == table.max(axis=0)).all() and (own == table.max(axis=1)).all():
        return np.arange(classes)
    # Takes long to import, and few models need it.
    from scipy.optimize import linear_sum_assignment

    return np.asarray(linear_sum_assignment(table, maximize=True)[1], dtype=np.int64)
