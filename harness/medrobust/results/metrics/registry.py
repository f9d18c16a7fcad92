"""What a named metric is, and what is checked before it is computed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ...contracts import Task
from ..record import Record
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
        unit: "fraction", "AUC", "ratio" or "pixel range" (the full range of a pixel is 1).
        higher_is_robust: whether a higher value means a more robust model; None where it says nothing of that.
        needs_labels: whether it is undefined on images without labels.
        full_strength: whether it needs a record made with stop = "full", since images that an attack left once broken
            would change it.
        axis: the axes of its value: none for a scalar.
        hits: for a rate over all images, which of them count (n,); pairs of rates are compared image by image.
        tasks: the tasks it is defined for.
    """

    name: str
    function: Callable[[Record], Value]
    unit: str = "fraction"
    higher_is_robust: bool | None = None
    needs_labels: bool = True
    full_strength: bool = False
    axis: tuple[Axis, ...] = ()
    hits: Callable[[Record], NDArray[np.bool_]] | None = None
    tasks: tuple[Task, ...] = TASKS

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
        if reason := self._obstacle(record):
            return undefined(reason, n=len(record), groups=group_count(record.groups))
        return self.function(record)

    def _obstacle(self, record: Record) -> str:
        if len(record) == 0:
            return "no images"
        if self.needs_labels and record.labels is None:
            return "the images have no labels"
        if self.full_strength and not record.full:
            return 'needs every image at full strength; this attack stopped at success (stop = "success")'
        if record.task not in self.tasks:
            return f"not defined for {record.task} tasks"
        if not (np.isfinite(record.clean).all() and np.isfinite(record.adversarial).all()):
            return "logits that are not finite"
        return ""
