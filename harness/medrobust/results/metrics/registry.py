"""What a named metric is, and what is checked before it is computed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ...contracts import Task
from ..outcomes import take
from ..record import Record
from ..statistics.combine import mean_of
from ..statistics.rates import group_count
from ..statistics.value import Value, undefined

Axis = Literal["class", "bin"]
TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True)
class Metric:
    """A named pure function of a record.

    Attributes:
        name: its name in tables and claims.
        function: the formula; its docstring gives definition, paper and section.
        unit: "fraction", "AUC", "ratio", "count" or "pixel range" (the full range of a pixel is 1).
        higher_is_robust: whether a higher value means a more robust model; None if it says nothing about that.
        needs_labels: whether it is undefined on images without labels.
        full_strength: whether it needs a record made with stop = "full", since images that an attack left once broken
            would change it.
        axis: the axes of its value: none for a scalar.
        hits: for a rate over all images, which of them count (n,); pairs of rates are compared image by image (of
            random models, by their first draw).
        part: for a rate over some of the images: which are counted, and which of all count as hits, (n,) each; where
            two records count the same images, pairs of rates are compared image by image.
        tasks: the tasks it is defined for.
        scored: whether it is about a detector, and so about the images that one was scored on.
    """

    name: str
    function: Callable[[Record], Value]
    unit: str = "fraction"
    higher_is_robust: bool | None = None
    needs_labels: bool = True
    full_strength: bool = False
    axis: tuple[Axis, ...] = ()
    hits: Callable[[Record], NDArray[np.bool_]] | None = None
    part: Callable[[Record], tuple[NDArray[np.bool_], NDArray[np.bool_]]] | None = None
    tasks: tuple[Task, ...] = TASKS
    scored: bool = False

    @property
    def description(self) -> str:
        """First sentence of the function's documentation."""
        return (inspect.getdoc(self.function) or "").split("\n")[0]

    @property
    def bounds(self) -> tuple[float, float]:
        """The values that are possible, for intervals that would leave them."""
        return (0.0, 1.0) if self.unit in ("fraction", "AUC") else (0.0, float("inf"))

    def __call__(self, record: Record) -> Value:
        """The metric of `record`, or why it is undefined there."""
        if self.scored and record.scores is not None:
            record = take(record, np.flatnonzero(np.isfinite(record.scores)))
        if reason := self._obstacle(record):
            return undefined(reason, n=len(record), groups=group_count(record.groups))
        return self.function(record) if record.draws == 1 else over_draws(self, record)

    def _obstacle(self, record: Record) -> str:
        if len(record) == 0:
            return "no images"
        if self.needs_labels and record.labels is None:
            return "the images have no labels"
        if self.scored and record.scores is None:
            return "no detector has scored these images"
        if self.full_strength and not record.full:
            return 'needs every image at full strength; this attack stopped at success (stop = "success")'
        if record.task not in self.tasks:
            return f"not defined for {record.task} tasks"
        if not (np.isfinite(record.clean).all() and np.isfinite(record.adversarial).all()):
            return "logits that are not finite"
        return ""


def over_draws(metric: Metric, record: Record) -> Value:
    """The mean of a metric over the draws of a random model; the note gives the worst case.

    The interval is the mean of the draws' intervals, since all draws are about the same images. At worst, a rate counts
    an image against the model if any draw does; any other metric is that of the worst draw.
    """
    each = [metric.function(record.draw(number)) for number in range(record.draws)]
    note = f"mean of {record.draws} draws of a random model"
    if any(isinstance(value.value, np.ndarray) for value in each):
        return _mean_of_arrays(each, note)
    found = mean_of(each)
    if found.scalar is None:
        return found
    worst = _worst(metric, record, [value.scalar for value in each if value.scalar is not None])
    if worst is not None:
        note += f", {f'{worst:.1%}' if metric.unit == 'fraction' else f'{worst:.3f}'} at worst"
    return replace(found, note="; ".join(text for text in (found.note, note) if text))


def _worst(metric: Metric, record: Record, values: list[float]) -> float | None:
    if metric.higher_is_robust is None:
        return None
    if metric.hits is not None:
        hits = np.stack([metric.hits(record.draw(number)) for number in range(record.draws)])
        return float((hits.all(axis=0) if metric.higher_is_robust else hits.any(axis=0)).mean())
    return min(values) if metric.higher_is_robust else max(values)


def _mean_of_arrays(each: list[Value], note: str) -> Value:
    """Entry by entry; an entry that one draw leaves undefined is undefined."""

    def mean(name: str) -> Any:
        columns = [getattr(value, name) for value in each]
        return None if any(column is None for column in columns) else np.mean(columns, axis=0)

    return replace(each[0], value=mean("value"), low=mean("low"), high=mean("high"), note=note)
