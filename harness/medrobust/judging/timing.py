"""How long trials take, by the measured speed of the model, and what of them fits a time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..engine.sizes import Sizes
from ..engine.steps import CraftStep, Step
from ..engine.throughput import Architecture, Throughput
from ..errors import MedrobustError

UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "": 60.0}
LEAST: Final = 100
"""Images below which budgets are left out rather than images."""
EXPECTED: Final = 0.25
"""Share of its passes that an attack makes whose broken images leave, before anything is known of the model."""
FLOOR: Final = 0.1
"""The same where every image breaks at once."""
BLIND: Final = 0.4
"""The same of an attack without gradients: what takes one gradient takes it many queries."""
APART: Final = 3
"""A further budget of a trial is as important as a trial so many places further down."""
MARGIN: Final = 0.85
"""Share of the time that is planned for."""


def parse_time(text: str) -> float | None:
    """Seconds of `10m`, `90s`, `1h`, or `10` (minutes); None for `all`.

    Raises:
        MedrobustError: for anything else.
    """
    if text == "all":
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)(?:in|ec|r)?", text.strip())
    if match is None or not float(match[1]):
        raise MedrobustError(f"--time: '{text}' is no time; write 10m, 90s, 1h, or 'all' for everything")
    return float(match[1]) * UNITS[match[2]]


@dataclass(frozen=True)
class Cost:
    """Seconds that something takes: for each image judged, and besides."""

    each: float = 0.0
    fixed: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.each + other.each, self.fixed + other.fixed)

    def of(self, images: int) -> float:
        return self.each * images + self.fixed


def cost_of(steps: Sequence[Step], sizes: Sizes, rates: Mapping[str, Throughput], images: int) -> Cost:
    """What steps cost that were planned for so many images; `rates` by the key of an architecture."""
    total = Cost()
    for step in steps:
        for work in step.work(sizes) or ():
            seconds = rates[Architecture.of(work.target).key].seconds(work.passes)
            total += Cost(each=seconds / images) if _on_all(step, sizes, images) else Cost(fixed=seconds)
    return total


def _on_all(step: Step, sizes: Sizes, images: int) -> bool:
    """Whether a step is about the judged images, and not about a few of them or others."""
    size = sizes.of(step.makes[0].part) if isinstance(step, CraftStep) else None
    return size is not None and size.images > 0.9 * images


@dataclass(frozen=True)
class Unit:
    """A trial at a budget, with its place in the order of importance.

    Attributes:
        trial, budget: which.
        rank: place of the budget in its trial, 0 for the most important.
        order: place of the trial in the list.
        cost: seconds at most.
        early: whether broken images leave.
        floor: share of its passes that it makes where every image breaks at once.
    """

    trial: str
    budget: str
    rank: int
    order: int
    cost: Cost
    early: bool = False
    floor: float = FLOOR

    def expected(self, images: int, share: float = EXPECTED) -> float:
        """Seconds on so many images, if so large a share of them stays to the end."""
        return self.cost.of(images) * (self.floor + (1 - self.floor) * share if self.early else 1.0)


@dataclass(frozen=True)
class Fitted:
    """What fits a time.

    Attributes:
        images: how many are judged.
        units: what is run.
        dropped: what is not.
    """

    images: int
    units: tuple[Unit, ...]
    dropped: tuple[Unit, ...]


def fit(units: Sequence[Unit], images: int, seconds: float | None, checks: Cost) -> Fitted:
    """As many images as fit, and with few of them what fits of the budgets.

    Args:
        units: all of them.
        images: how many there are.
        seconds: the time; None for as long as it takes.
        checks: what is always run.
    """
    kept = sorted(units, key=lambda u: (u.order, u.rank))
    dropped: list[Unit] = []
    if seconds is None:
        return Fitted(images, tuple(kept), ())
    room = MARGIN * seconds

    def total(count: int) -> float:
        return checks.of(count) + sum(unit.expected(count) for unit in kept)

    least = min(LEAST, images)
    while total(least) > room and (unit := _next_to_drop(kept)) is not None:
        kept.remove(unit)
        dropped.append(unit)
    count = images
    while count > least and total(count) > room:
        count = max(least, int(count * 0.9))
    return Fitted(count, tuple(kept), tuple(dropped))


def _next_to_drop(kept: Sequence[Unit]) -> Unit | None:
    """The least important one: a place in the list weighs less than a place among the budgets; two stay."""
    return max(kept, key=lambda u: (u.order + APART * u.rank, u.order)) if len(kept) > 2 else None
