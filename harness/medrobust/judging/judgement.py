"""A judgement: everything a report says, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["control", "white-box", "black-box", "transfer", "universal", "smallest"]
"""What an attack knows of the model, or what a trial asks."""


@dataclass(frozen=True)
class Share:
    """A share of images with its 95 % interval; `low` and `high` are None where there is none."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Fault:
    """Something wrong with the model, or with how it is used.

    Attributes:
        name: what is wrong.
        detail: the numbers behind it.
        advice: what to do.
        corrected: whether the judgement goes on as if it had been put right, as with outputs in another order.
    """

    name: str
    detail: str
    advice: str
    corrected: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}. {self.advice}" if self.detail else f"{self.name}. {self.advice}"


@dataclass(frozen=True)
class Result:
    """What one attack at one budget left.

    Attributes:
        trial: which trial it belongs to.
        title: the attack in words.
        kind: what it knows of the model.
        budget: as a grid spells it.
        norm, eps: norm and radius, pixels in [0, 1].
        kept: share of the images decided rightly when clean (without labels: of all images) whose decision stays.
        stays: which images these are (n,), of `counted`.
        counted: which of the judged images count (n,).
    """

    trial: str
    title: str
    kind: Kind
    budget: str
    norm: str
    eps: float
    kept: Share
    stays: NDArray[np.bool_] = field(repr=False, compare=False)
    counted: NDArray[np.bool_] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Smallest:
    """The smallest changes found that change a decision.

    Attributes:
        title: the attack in words.
        norm: in which they are small.
        found: share of the counted images for which there is one.
        quartiles: of their norm, pixels in [0, 1]; an image without one counts as infinitely far.
        grey_levels: the median as the root mean square over the values of an image, in grey levels of 255.
    """

    title: str
    norm: str
    found: Share
    quartiles: tuple[float, float, float]
    grey_levels: float


@dataclass(frozen=True)
class Picture:
    """A telling image, clean and perturbed (h, w, c) in [0, 1], with what the model said of each."""

    clean: NDArray[Any] = field(repr=False, compare=False)
    adversarial: NDArray[Any] = field(repr=False, compare=False)
    before: str
    after: str
    change: str


@dataclass(frozen=True)
class Judgement:
    """What `judge` found.

    Attributes:
        model: what it is called; no path and no id.
        data: what they are called; no path and no id.
        facts: how the model was taken, by topic: images, classes, input, order of outputs.
        faults: what is wrong, the gravest first; empty for a healthy model.
        checks: names and outcomes of all checks of evidence.
        clean: share of clean images decided rightly; None without labels.
        chance: share of the largest class; None without labels.
        results: of every attack and budget.
        smallest: the smallest changes, where they were sought.
        moves: of the decisions that the strongest attack at a budget changes, from class to class, how many.
        findings: what breaks it and how small a change suffices, in sentences.
        thin: where the evidence is thin.
        advice: what to try next.
        left_out: what was not run, and why.
        pictures: telling images, where they were asked for.
        seconds: how long it took.
        cpu_seconds: processor time of that.
        store: where the records are; None if they are gone.
    """

    model: str
    data: str
    facts: Mapping[str, str]
    faults: tuple[Fault, ...]
    checks: tuple[tuple[str, str], ...]
    clean: Share | None
    chance: float | None
    results: tuple[Result, ...]
    smallest: Smallest | None = None
    moves: Mapping[tuple[str, str], int] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    thin: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    store: Path | None = None

    @property
    def healthy(self) -> bool:
        """Whether no fault was found."""
        return not self.faults

    @property
    def verdict(self) -> str:
        """The first line."""
        from .words import verdict

        return verdict(self)

    def __str__(self) -> str:
        from .words import as_text

        return as_text(self)
