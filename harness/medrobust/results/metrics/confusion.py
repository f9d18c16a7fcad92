"""Which classes the images end up in: confusion matrices and predicted shares."""

from __future__ import annotations

import numpy as np

from ..outcomes import Decisions, class_count, class_names, decisions, labels, select
from ..record import Record
from ..statistics.rates import group_count, rate
from ..statistics.value import Value, stack


def confusion_matrix(record: Record) -> Value:
    """Share of the images of each true class (rows) decided as each class (columns) under attack.

    Rows add up to 1; the row of a class without images is undefined (hirano2021, Figs 1 and 3).
    """
    return _confusion(record, labels(record), "no images of {}")


def confusion_matrix_by_prediction(record: Record) -> Value:
    """`confusion_matrix` with the clean decision as rows instead of the label.

    What the released scripts of hirano2021 plot.
    """
    return _confusion(record, decisions(record, record.clean), "no clean image is predicted as {}")


def predicted_share(record: Record) -> Value:
    """Share of all images decided as each class under attack; multi-label: with each label.

    minagi2022, Tables S1 to S3: natural images, which belong to none of the classes.
    """
    decided = decisions(record, record.adversarial)
    count = class_count(record)
    hits = decided == 1 if decided.ndim == 2 else decided[:, None] == np.arange(count)
    values = [rate(hits[:, index], record.groups) for index in range(count)]
    return stack(values, (count,), n=len(record), groups=group_count(record.groups))


def _confusion(record: Record, rows: Decisions, empty: str) -> Value:
    count, names = class_count(record), class_names(class_count(record))
    decided = decisions(record, record.adversarial)
    values = []
    for row in range(count):
        kept = rows == row
        inside, groups, reason = decided[kept], select(record, kept), empty.format(names[row])
        values += [rate(inside == column, groups, empty=reason) for column in range(count)]
    return stack(values, (count, count), n=len(record), groups=group_count(record.groups))
