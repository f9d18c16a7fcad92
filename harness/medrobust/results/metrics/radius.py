"""What is left at every radius, from one run of an attack that searches for the smallest perturbation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..outcomes import correct
from ..record import Record
from ..statistics.rates import group_count, rate
from ..statistics.value import Value, stack, undefined

FIRST: Final[Mapping[str, float]] = {"linf": 1 / (8 * 255), "l2": 0.01, "l1": 0.1, "l0": 1.0}
"""The smallest radius of each norm."""
OCTAVES: Final = 9


def radii(norm: str) -> NDArray[np.float64]:
    """The radii of `accuracy_within` for a norm: four to each doubling, from its smallest one on."""
    return np.asarray(FIRST[norm] * 2.0 ** (np.arange(4 * OCTAVES + 1) / 4))


def accuracy_within(record: Record) -> Value:
    """Robust accuracy within each of a row of radii, from the size of what an attack found.

    An image counts at a radius if it is correct when clean and was not broken within it. Of a search for the smallest
    perturbation this is the whole curve of success against radius; of an attack at one radius, a bound beyond it.
    """
    norm = record.norm
    size = None if norm is None or norm not in FIRST else getattr(record, norm)
    if norm is None or size is None:
        why = "needs the budget of a norm, such as l2:min"
        return undefined(why, n=len(record), groups=group_count(record.groups))
    right, broken = correct(record, record.clean), ~correct(record, record.adversarial)
    allowed = radii(norm) * (1 + 1e-5)
    values = [rate(right & ~(broken & (size <= radius)), record.groups) for radius in allowed]
    return stack(values, (len(values),), n=len(record), groups=group_count(record.groups))
