"""A number with its interval, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Value:
    """The value of a metric or statistic: a scalar, or an array for a metric with a class or bin axis.

    An undefined scalar is None with a `reason`. In an array an undefined entry is NaN with its text in `reasons`;
    read arrays through `at` or `entries`, which give scalars, so that no NaN reaches a table.

    Attributes:
        value: a scalar, an array, or None where undefined.
        low: lower end of the 95 % interval, shaped like `value`; None where there is none.
        high: upper end of the 95 % interval, shaped like `value`; None where there is none.
        n: images counted (the denominator of a rate).
        groups: groups (patients) those images come from, or None where unknown.
        reason: why `value` is undefined; empty where it is defined.
        note: what a reader of the number should know: images or labels left out, why an interval is missing.
        counts: for an array, images counted for each entry.
        reasons: for an array, why each entry is undefined; empty text where it is defined.
    """

    value: float | Floats | None
    low: float | Floats | None = None
    high: float | Floats | None = None
    n: int = 0
    groups: int | None = None
    reason: str = ""
    note: str = ""
    counts: NDArray[np.int64] | None = None
    reasons: NDArray[np.str_] | None = None

    @property
    def defined(self) -> bool:
        """Whether there is a value (for an array: whether it has the axis at all)."""
        return self.value is not None

    @property
    def scalar(self) -> float | None:
        """The value of a scalar metric, None where undefined; an array raises TypeError."""
        if isinstance(self.value, np.ndarray):
            raise TypeError("this value has an axis: read it with at() or entries()")
        return self.value

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends of a scalar's interval, or None where there is none."""
        if isinstance(self.low, float) and isinstance(self.high, float):
            return self.low, self.high
        return None

    def at(self, *index: int) -> Value:
        """One entry of an array as a scalar."""
        if not isinstance(self.value, np.ndarray):
            raise TypeError("this value has no axis")
        n = int(self.counts[index]) if self.counts is not None else self.n
        reason = str(self.reasons[index]) if self.reasons is not None else ""
        if reason:
            return Value(None, n=n, groups=self.groups, reason=reason, note=self.note)
        return Value(
            float(self.value[index]), _entry(self.low, index), _entry(self.high, index), n, self.groups, note=self.note
        )

    def entries(self) -> Iterator[tuple[tuple[int, ...], Value]]:
        """Every entry of an array with its index."""
        if not isinstance(self.value, np.ndarray):
            raise TypeError("this value has no axis")
        for index in np.ndindex(self.value.shape):
            yield index, self.at(*index)


def _entry(bound: float | Floats | None, index: tuple[int, ...]) -> float | None:
    if not isinstance(bound, np.ndarray) or np.isnan(bound[index]):
        return None
    return float(bound[index])


def undefined(reason: str, *, n: int = 0, groups: int | None = None) -> Value:
    """A value that does not exist, and why."""
    return Value(None, n=n, groups=groups, reason=reason)


def stack(values: list[Value], shape: tuple[int, ...], *, n: int, groups: int | None = None, note: str = "") -> Value:
    """Scalars, in row-major order, as one array."""

    def column(numbers: list[float | None]) -> Floats:
        return np.array([np.nan if number is None else number for number in numbers], dtype=np.float64).reshape(shape)

    intervals = [value.interval or (None, None) for value in values]
    return Value(
        column([value.scalar for value in values]),
        column([low for low, _ in intervals]),
        column([high for _, high in intervals]),
        n=n,
        groups=groups,
        note=note,
        counts=np.array([value.n for value in values], dtype=np.int64).reshape(shape),
        reasons=np.array([value.reason for value in values], dtype=np.str_).reshape(shape),
    )
