"""What a grid holds once it is read: blocks of choices for each axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from ..errors import shown
from ..plugins.specs import Spec
from .slices import Slice

Stop = Literal["full", "success"]


@dataclass(frozen=True)
class Choice:
    """One value of an axis with the label that tables and `exclude` see."""

    value: Any
    label: str


@dataclass(frozen=True)
class GoalSpec:
    """`untargeted` (away from the true label), `predicted` (away from the model's own decision), `target:CLASS`."""

    kind: Literal["untargeted", "predicted", "target"]
    target: str = ""

    @property
    def targeted(self) -> bool:
        return self.kind == "target"

    @classmethod
    def parse(cls, text: str) -> GoalSpec:
        """Read a goal.

        Raises:
            ValueError: with the accepted forms.
        """
        if text in ("untargeted", "predicted"):
            return cls(text)  # type: ignore[arg-type]
        kind, _, target = text.partition(":")
        if kind == "target" and target:
            return cls("target", target)
        raise ValueError(f"{shown(text)} is not a valid goal; write untargeted, predicted or target:CLASS")

    def __str__(self) -> str:
        return f"target:{self.target}" if self.targeted else self.kind


@dataclass(frozen=True)
class PartSpec:
    """A slice of the target's own data set, or of another one."""

    slice: Slice
    dataset: Spec | None = None

    def __str__(self) -> str:
        return f"{self.dataset.label}:{self.slice}" if self.dataset else str(self.slice)


@dataclass(frozen=True)
class SurrogatePatch:
    """The model that is attacked in the target's place: axis values that replace the target's."""

    patch: tuple[tuple[str, Any], ...] = ()
    instance: int | Literal["other"] | None = None


FITTED_ON: Final = "test[:80%]"
"""The slice of the evaluated images that a detector learns from, where a grid names none (ma2020: AdvTrain)."""


@dataclass(frozen=True)
class DetectorSpec:
    """A detector and what it learns from; it is scored on the images of the part that it has not learned from.

    Attributes:
        detector: its plugin.
        source: the attack it learns from; None for the one it faces.
        fit_on: the slice of the evaluated images it learns from; all of them if it is the whole split, and then it is
            scored on all of them.
    """

    detector: Spec
    source: Spec | None
    fit_on: Slice

    @property
    def name(self) -> str:
        """As the table of cells names it: `dfeat<fgsm on test`."""
        fitted = "" if str(self.fit_on) == FITTED_ON else f" on {self.fit_on}"
        return f"{self.detector.name}<{self.source.name if self.source else 'same'}{fitted}"

    @property
    def fields(self) -> dict[str, Any]:
        """What its scores rest on beside the cell without it."""
        return {
            **self.detector.fields,
            "learns_from": self.source.fields if self.source else "same",
            "fit_on": str(self.fit_on),
        }

    @property
    def described(self) -> tuple[str, ...]:
        """What a grid says of it, whatever code stands behind the words."""
        return self.detector.described, self.source.described if self.source else "same", str(self.fit_on)


@dataclass(frozen=True)
class Block:
    """One `[[grid]]` table: the choices of each axis and what holds for all its cells."""

    where: str
    axes: Mapping[str, tuple[Choice, ...]]
    probes: tuple[Spec, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[Mapping[str, tuple[str, ...]], ...] = ()
    stop: Stop = "full"
    threads: int = 1
    split_seed: int = 0

    def __len__(self) -> int:
        """Number of combinations, before any is excluded."""
        size = 1
        for choices in self.axes.values():
            size *= max(len(choices), 1)
        return size

    def excluded(self, labels: Mapping[str, str]) -> bool:
        """Whether a combination of labels matches an `exclude` pattern."""
        return any(
            all(any(_matches(labels[axis], p) for p in patterns) for axis, patterns in pattern.items())
            for pattern in self.exclude
        )


def _matches(label: str, pattern: str) -> bool:
    # A label with brackets, such as train[:50%], must match itself.
    return label == pattern or fnmatchcase(label, pattern)


@dataclass(frozen=True)
class Grid:
    """Everything a grid file asks for."""

    name: str
    profile: str
    blocks: tuple[Block, ...]
