"""The permitted range of a number, as its type says it: `Annotated[int, Field(ge=1)]`."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True)
class Range:
    """An interval of numbers.

    Attributes:
        low: its lower end, or None.
        high: its upper end, or None.
        above: whether `low` itself is outside.
        below: whether `high` itself is outside.
    """

    low: float | None = None
    high: float | None = None
    above: bool = False
    below: bool = False

    def __contains__(self, value: float) -> bool:
        # Written so that NaN is outside.
        high_enough = self.low is None or value > self.low or (value == self.low and not self.above)
        low_enough = self.high is None or value < self.high or (value == self.high and not self.below)
        return high_enough and low_enough and value == value

    def __str__(self) -> str:
        if self.low is not None and self.high is not None and not (self.above or self.below):
            return f"between {self.low:g} and {self.high:g}"
        ends = []
        if self.low is not None:
            ends.append(f"{'more than' if self.above else 'at least'} {self.low:g}")
        if self.high is not None:
            ends.append(f"{'less than' if self.below else 'at most'} {self.high:g}")
        return " and ".join(ends)


def range_of(hint: Any) -> Range | None:
    """The range that a type permits, or None where it permits all."""
    if typing.get_origin(hint) is not Annotated:
        return None
    found: dict[str, float] = {}
    for given in typing.get_args(hint)[1:]:
        for constraint in getattr(given, "metadata", None) or (given,):
            found |= {k: v for k in ("ge", "gt", "le", "lt") if (v := getattr(constraint, k, None)) is not None}
    if not found:
        return None
    return Range(found.get("ge", found.get("gt")), found.get("le", found.get("lt")), "gt" in found, "lt" in found)
