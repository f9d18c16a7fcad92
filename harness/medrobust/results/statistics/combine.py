"""One number from several: over seeds, over the models of a table cell, and over pooled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...errors import MedrobustError
from ..record import Record
from .rates import t_quantile
from .value import Value, undefined


def over_seeds(values: Sequence[Value], bounds: tuple[float, float] = (-np.inf, np.inf)) -> Value:
    """Mean over independent repetitions with a t interval of their spread, cut at `bounds`.

    It shows how the number varies from one training to the next; how it varies with the images is in each value's own
    interval, and in `pooled`. A single repetition has no such interval and keeps its own.
    """
    known, note = _defined(values, "seeds")
    if not known:
        return _nothing(values)
    if len(known) == 1:
        return replace(known[0], note=_join(known[0].note, note, "interval over images: one seed"))
    numbers = np.array([value.scalar for value in known], dtype=np.float64)
    centre, half = (
        float(numbers.mean()),
        t_quantile(len(numbers) - 1) * float(numbers.std(ddof=1)) / len(numbers) ** 0.5,
    )
    low, high = max(bounds[0], centre - half), min(bounds[1], centre + half)
    return Value(
        centre, low, high, _images(known), known[0].groups, note=_join(note, f"interval over {len(known)} seeds")
    )


def mean_of(values: Sequence[Value]) -> Value:
    """Mean of the values that one table cell summarises, such as wetstein2020's means over models.

    Its interval is the mean of the intervals, which is the widest that their unknown correlation allows: they come
    from the same images and move together.
    """
    known, note = _defined(values, "values")
    if not known:
        return _nothing(values)
    numbers = np.array([value.scalar for value in known], dtype=np.float64)
    intervals = [interval for value in known if (interval := value.interval)]
    centre, n, groups = float(numbers.mean()), _images(known), known[0].groups
    if len(intervals) < len(known):
        return Value(centre, n=n, groups=groups, note=_join(note, "no interval: a value has none"))
    low, high = np.mean(intervals, axis=0)
    return Value(centre, float(low), float(high), n, groups, note=note)


def pooled(records: Sequence[Record]) -> Record:
    """The images of several records (such as seeds) in one, each image or patient a group across them.

    A rate of it has an interval for the images, averaged over the models. Decisions may be pooled, scores not: an AUC
    of it would rank the scores of different models among each other. Take `mean_of` for that. Of random models, the
    first draw counts.
    """
    if not records:
        raise MedrobustError("no records to pool")
    if len({(record.task, record.clean.shape[1:]) for record in records}) > 1:
        raise MedrobustError("records of different tasks or numbers of classes cannot be pooled")
    records = [record.draw(0) for record in records]
    first = records[0]
    if any(not np.array_equal(record.target, first.target) for record in records):
        raise MedrobustError("records of different target classes cannot be pooled")
    labels = [record.labels for record in records if record.labels is not None]
    return replace(
        first,
        ids=np.concatenate([record.ids for record in records]),
        labels=np.concatenate(labels) if len(labels) == len(records) else None,
        clean=np.concatenate([record.clean for record in records]),
        adversarial=np.concatenate([record.adversarial for record in records]),
        l2=np.concatenate([record.l2 for record in records]),
        linf=np.concatenate([record.linf for record in records]),
        l1=_joined([record.l1 for record in records]),
        l0=_joined([record.l0 for record in records]),
        groups=np.concatenate([record.ids if record.groups is None else record.groups for record in records]),
    )


def _joined(norms: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    """A norm of all records; None where one has not measured it."""
    known = [norm for norm in norms if norm is not None]
    return np.concatenate(known) if len(known) == len(norms) else None


def _defined(values: Sequence[Value], what: str) -> tuple[list[Value], str]:
    known = [value for value in values if value.scalar is not None]
    return known, "" if len(known) == len(values) else f"{len(known)} of {len(values)} {what} are defined"


def _nothing(values: Sequence[Value]) -> Value:
    return undefined(values[0].reason if values else "no values")


def _images(values: Sequence[Value]) -> int:
    return min(value.n for value in values)


def _join(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
