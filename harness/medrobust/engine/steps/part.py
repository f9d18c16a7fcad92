"""Describing the images of a part again, where the store has lost the description."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...grid.parts import Part
from ...grid.plan import Done
from ...results.store import Store
from ..context import RunContext
from ..models.loading import write_part
from ..models.training import Progress
from .base import Outcome, Step


@dataclass(frozen=True, eq=False, kw_only=True)
class PartStep(Step):
    """Record what a part holds. Usually the step that evaluates on it does; this one is for cells that are there."""

    kind: ClassVar[str] = "part"
    part: Part

    @property
    def threads(self) -> int:
        return 1

    def remaining(self, done: Done) -> PartStep | None:
        return None if self.part.id in done.parts else self

    def describe(self) -> str:
        return f"describe the images of {self.part.dataset.label}, {self.part.slice}"

    def run(self, store: Store, context: RunContext, progress: Progress | None) -> tuple[Outcome, ...]:
        write_part(self.part, store, context)
        return ()
