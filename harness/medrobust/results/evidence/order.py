"""Whether a model's outputs stand in the order of the data set's classes."""

from __future__ import annotations

import numpy as np

from ..outcomes import decisions, labels
from ..record import Record
from .trial import LEVEL, Result, fewer

ORDER = "outputs are in the order of the classes"
GAIN = 0.1
"""Accuracy that another order must add before it is worth a flag."""


def order_of_classes(record: Record | None) -> Result:
    """Whether another order of the outputs gives significantly more correct clean images.

    The order is sought on one half of the images and tested on the other, so that a search among all orders finds
    nothing by chance.
    """
    if record is None or record.labels is None or record.task == "multilabel":
        return "not checked", "only for one class an image"
    decided, truth = decisions(record, record.clean), labels(record)
    classes = max(int(decided.max(initial=1)), int(truth.max(initial=1)), record.clean.shape[1] - 1) + 1
    sought = np.arange(len(truth)) // classes % 2 == 0
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (decided[sought], truth[sought]), 1)
    own = np.diagonal(table)
    if (own == table.max(axis=0)).all() and (own == table.max(axis=1)).all():
        return "passed", ""
    # Takes long to import, and few models need it.
    from scipy.optimize import linear_sum_assignment

    _, best = linear_sum_assignment(table, maximize=True)
    as_it_is, reordered = (decided == truth)[~sought], (best[decided] == truth)[~sought]
    gain = float(reordered.mean() - as_it_is.mean()) if len(as_it_is) else 0.0
    if gain < GAIN or fewer(as_it_is, reordered) >= LEVEL:
        return "passed", ""
    return "flagged", f"{as_it_is.mean():.0%} correct when clean, {reordered.mean():.0%} with outputs in another order"
