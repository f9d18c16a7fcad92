"""How much there is of something; without intervals, as nothing is estimated."""

from __future__ import annotations

from ..outcomes import class_count
from ..record import Record
from ..statistics.rates import group_count
from ..statistics.value import Value


def images(record: Record) -> Value:
    """How many images the cell was evaluated on (ma2020, Table 1)."""
    return Value(float(len(record)), n=len(record), groups=group_count(record.groups))


def classes(record: Record) -> Value:
    """How many classes, or labels of a multi-label task, the model tells apart (ma2020, Table 1)."""
    return Value(float(class_count(record)), n=len(record), groups=group_count(record.groups))
