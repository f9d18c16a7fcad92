"""What the checks of evidence look at, and how they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..outcomes import correct
from ..record import Record
from ..statistics.comparison import sign_test

Outcome = Literal["passed", "flagged", "undecided", "not checked"]
LEVEL = 0.01
"""One-sided level of a single paired test; low, because a model is judged by several."""


@dataclass(frozen=True)
class Trial:
    """One cell of a model under a threat model.

    Attributes:
        attack, eps: label and resolved radius, pixels in [0, 1].
        control: whether the attack uses no knowledge of the model.
        white_box: whether it was crafted on the target itself.
        iterations: its gradient steps on each image; 0 if it takes none, as a control, a score-based or a universal
            attack.
        record: the images.
        large: whether the radius is so large that no model can keep its accuracy.
    """

    attack: str
    eps: float
    control: bool
    white_box: bool
    iterations: int
    record: Record
    large: bool = False

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Images that are correct when clean and under attack."""
        return np.asarray(correct(self.record, self.record.adversarial) & correct(self.record, self.record.clean))

    @property
    def share(self) -> float:
        """Share of the images correct when clean that stay correct."""
        right = correct(self.record, self.record.clean)
        return float(self.kept.sum() / max(right.sum(), 1))

    def __str__(self) -> str:
        return f"{self.attack} at {self.eps * 255:.3g}/255"


@dataclass(frozen=True)
class Check:
    """How one check ended.

    Attributes:
        name: what should hold.
        outcome: whether it does.
        detail: the numbers behind the outcome.
        advice: what to do if it does not.
    """

    name: str
    outcome: Outcome
    detail: str = ""
    advice: str = ""


Result = tuple[Outcome, str]
"""How a check ended, and the numbers behind it."""
MISSING: Result = ("not checked", "no such cell; `medrobust run` adds it, unless told --no-evidence")


def stronger(first: Trial, second: Trial) -> float:
    """One-sided p value that the first leaves fewer images correct than the second (exact McNemar test)."""
    _, a, b = np.intersect1d(first.record.ids, second.record.ids, return_indices=True)
    return fewer(first.kept[a], second.kept[b])


def fewer(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """One-sided p value that `one` holds for fewer of the same images than `other` (n,)."""
    return sign_test(int((~one & other).sum()), int((one & ~other).sum()))[0]
