"""How often an expectation of no regression fails, for planted drops: on records alone, so that no model is needed.

    python benchmarks/regression.py --repeats 200

A family of items shares 600 images. In one item robust accuracy has dropped by so many points; in the others nothing
has changed but churn: so many points of the images are lost, and as many won, as happens when a model is trained anew.
An alarm is right in the first item and false in the others. With patients, two images each change together.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medrobust.pytest.cell import metric_called
from medrobust.pytest.regression import MINIMUM, Change, alarms, change
from medrobust.results.record import Record

IMAGES = 600
ROBUST = 0.6
"""Robust accuracy in the baseline."""
DROPS = (0.0, 0.02, 0.05, 0.10)
CHURNS = (0.0, 0.02, 0.05)
FAMILIES = (1, 10)
METRIC = metric_called("robust_accuracy")


@dataclass(frozen=True)
class Rates:
    """Shares of repeats with an alarm.

    Attributes:
        right: in the item with the drop.
        false: in any other.
    """

    right: float
    false: float


def record(right: NDArray[np.bool_], groups: NDArray[np.str_] | None = None) -> Record:
    """A record of a two-class task in which these images are decided correctly under attack."""
    n = len(right)
    labels = np.arange(n) % 2
    decided = np.where(right, labels, 1 - labels)
    return Record(
        "multiclass",
        np.array([f"{i:04}" for i in range(n)]),
        labels,
        np.eye(2, dtype=np.float32)[labels],
        np.eye(2, dtype=np.float32)[decided],
        np.zeros(n, np.float32),
        np.zeros(n, np.float32),
        groups,
    )


def planted(rng: np.random.Generator, drop: float, churn: float, size: int) -> Change:
    """The change between a baseline and records with a drop; `size` images of a patient share their fate."""
    units = IMAGES // size
    before = rng.random(units) < ROBUST
    lost = before & (rng.random(units) < (drop + churn) / ROBUST)
    won = ~before & (rng.random(units) < churn / (1 - ROBUST))
    now = (before & ~lost) | won
    groups = np.repeat([f"patient-{i}" for i in range(units)], size) if size > 1 else None
    return change(METRIC, record(np.repeat(now, size), groups), record(np.repeat(before, size), groups))


def rates(drop: float, churn: float, family: int, *, repeats: int, size: int = 1, seed: int = 0) -> Rates:
    """How often there is an alarm."""
    right = false = 0
    for number in range(repeats):
        rng = np.random.default_rng([seed, number])
        changes = [planted(rng, drop if item == 0 else 0.0, churn, size) for item in range(family)]
        found = alarms(changes, [MINIMUM] * family)
        right += found[0]
        false += any(found[1:])
    return Rates(right / repeats, false / repeats)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    print(f"Share of {repeats} repeats with an alarm; {IMAGES} images, robust accuracy {ROBUST:.0%} in the baseline.\n")
    heads = [f"{drop:.0%} drop" for drop in DROPS]
    print(f"| items | churn each way | patients | {' | '.join(heads)} | false alarm in the other items |")
    print(f"|---|---|---|{'---|' * len(heads)}---|")
    for family in FAMILIES:
        for churn in CHURNS:
            for size in (1, 2):
                found = [rates(drop, churn, family, repeats=repeats, size=size) for drop in DROPS]
                shares = " | ".join(f"{each.right:.1%}" for each in found)
                false = f"{max(each.false for each in found):.1%} at most" if family > 1 else ""
                print(f"| {family} | {churn:.0%} | {IMAGES // size} | {shares} | {false} |")


if __name__ == "__main__":
    main()
