"""Numbers and evidence as tests read them: what is not there raises, and nothing passes by being true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from ..errors import MedrobustError
from ..results.evidence import Check, badge
from ..results.statistics.value import Value


class UndefinedError(MedrobustError):
    """A number was asked for that does not exist; the message says why."""


@dataclass(frozen=True, repr=False)
class Measured:
    """A metric of one cell with its 95 % interval.

    Attributes:
        metric: its name.
        found: as statistics give it.
    """

    metric: str
    found: Value

    @property
    def value(self) -> float:
        """The estimate.

        Raises:
            UndefinedError: with the reason, if there is none.
        """
        if (scalar := self.found.scalar) is None:
            raise UndefinedError(f"{self.metric} is undefined: {self.found.reason}")
        return float(scalar)

    @property
    def lower(self) -> float:
        """The lower end of the interval.

        Raises:
            UndefinedError: if there is none.
        """
        return self._interval[0]

    @property
    def upper(self) -> float:
        """The upper end of the interval.

        Raises:
            UndefinedError: if there is none.
        """
        return self._interval[1]

    @property
    def n(self) -> int:
        """Images counted: the denominator of a rate."""
        return self.found.n

    @property
    def groups(self) -> int | None:
        """Patients that the images come from, or None where unknown."""
        return self.found.groups

    @property
    def note(self) -> str:
        """What else a reader of the number should know."""
        return self.found.note

    @property
    def _interval(self) -> tuple[float, float]:
        value = self.value
        if self.found.interval is None:
            raise UndefinedError(f"{self.metric} = {value:.3f} has no interval ({self.note or 'compare its .value'})")
        return self.found.interval

    def __str__(self) -> str:
        """`0.483, 95 % interval [0.410, 0.556], 180 images of 90 patients`."""
        if not self.found.defined:
            return f"undefined ({self.found.reason})"
        ends = self.found.interval
        interval = f", 95 % interval [{ends[0]:.3f}, {ends[1]:.3f}]" if ends else ""
        patients = f" of {self.groups} patients" if self.groups is not None and self.groups < self.n else ""
        note = f" ({self.note})" if self.note else ""
        return f"{self.value:.3f}{interval}, {self.n} images{patients}{note}"

    def __repr__(self) -> str:
        return f"<{self.metric} = {self}>"

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self.metric} is no truth value: compare its .lower, .upper or .value with a bound")


@dataclass(frozen=True, repr=False)
class Evidence:
    """The checks on whether the robust accuracies of a model can be trusted under one norm.

    Attributes:
        checks: each with its name, outcome, numbers and advice.
    """

    checks: tuple[Check, ...]

    @property
    def flagged(self) -> tuple[Check, ...]:
        """The checks that speak against the numbers."""
        return tuple(check for check in self.checks if check.outcome == "flagged")

    @property
    def sound(self) -> bool:
        """Whether something was checked and nothing speaks against the numbers.

        Raises:
            UndefinedError: if nothing was checked.
        """
        if all(check.outcome == "not checked" for check in self.checks):
            raise UndefinedError("nothing was checked: parametrize(..., evidence=True) adds the cells that checks need")
        return not self.flagged

    def __repr__(self) -> str:
        return f"<evidence: {badge(self.checks)}>"

    def __bool__(self) -> NoReturn:
        raise TypeError("evidence is no truth value: ask for evidence.sound")
