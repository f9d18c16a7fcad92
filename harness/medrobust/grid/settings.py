"""Settings: the conditions under which an attack is run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..contracts import BudgetSpec, Precision
from ..plugins.specs import Canonical
from .blocks import GoalSpec, Stop
from .identity import REVISIONS, Fields
from .parts import Part


@dataclass(frozen=True, eq=False)
class Setting:
    """The conditions under which an attack is run; cells that have the same share one.

    Attributes:
        goal: what the attack pursues.
        budget: how far it may go.
        part: the images it is evaluated on.
        train: the images the target was trained on; a radius in percent refers to them.
        seed: of every draw.
        precision: of the arithmetic that crafts.
        stop: whether images that are broken may leave the batch.
        craft_on: the images that a universal attack is crafted on.
        batch: the number of images in each batch, where the result depends on it.
    """

    goal: GoalSpec
    budget: BudgetSpec
    part: Part
    train: Part
    seed: int
    precision: Precision = "float32"
    stop: Stop = "full"
    craft_on: Part | None = None
    batch: int | None = None

    @cached_property
    def fields(self) -> Fields:
        return {
            "goal": str(self.goal),
            "budget": self.budget.canonical,
            "zeta_of": self.train.id if self.budget.needs_training_set else None,
            "craft_on": self.craft_on.id if self.craft_on else None,
            "evaluate_on": self.part.id,
            "seed": self.seed,
            "stop": self.stop,
            "precision": self.precision,
            "revision": REVISIONS["craft"],
            **({"batch": self.batch} if self.batch is not None else {}),
        }

    @cached_property
    def canonical(self) -> Canonical:
        return Canonical.of(self.fields)

    def without(self, *names: str) -> Fields:
        """The fields but some."""
        return {k: v for k, v in self.fields.items() if k not in names}
