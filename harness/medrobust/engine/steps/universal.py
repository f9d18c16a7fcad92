"""Fitting a universal perturbation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...contracts import AnyAttack
from ...grid.cells import Cell
from ...grid.plan import Done
from ...grid.targets import Target
from ...results.store import Store
from ..context import RunContext
from ..crafting.universal import fit_universal
from ..models.loading import budget_of, classifiers_of, module_of, part_of
from ..models.training import Progress
from ..models.weights import made_from_weights
from ..sizes import Sizes
from .base import Outcome, Step
from .work import Work, attack_work


@dataclass(frozen=True, eq=False, kw_only=True)
class UniversalStep(Step):
    """Fit a universal perturbation and keep it.

    Attributes:
        root: the attack at the largest cumulative value.
        wanted: one cell for each cumulative value.
    """

    kind: ClassVar[str] = "universal"
    root: AnyAttack
    wanted: tuple[Cell, ...]

    @property
    def source(self) -> Target:
        """The model it is fitted against."""
        assert self.wanted[0].source is not None
        return self.wanted[0].source

    @property
    def threads(self) -> int:
        return self.source.threads

    def work(self, sizes: Sizes) -> list[Work] | None:
        part = self.wanted[0].craft_on
        size = sizes.of(part) if part is not None else None
        return None if size is None else [attack_work(self.source, self.root, size.images)]

    def remaining(self, done: Done) -> UniversalStep | None:
        wanted = tuple(cell for cell in self.wanted if cell.perturbation_id not in done.artifacts)
        return replace(self, wanted=wanted) if wanted else None

    def describe(self) -> str:
        return f"perturbation of {self.wanted[0].describe()}"

    def run(self, store: Store, context: RunContext, progress: Progress | None) -> tuple[Outcome, ...]:
        cell = self.wanted[0]
        assert cell.craft_on is not None
        # Before the weights are loaded: what is replaced meanwhile then counts as made from the old.
        made_from = made_from_weights([self.source], store)
        part = part_of(cell.craft_on, self.source, context, progress)
        module = module_of(self.source, store, context)
        classifier = classifiers_of(module, self.source, cell.precision, part, context)[-1]
        budget = budget_of(cell, context, progress)
        fit_universal(self.root, self.wanted, classifier, part, budget, store, context.device, made_from)
        return ()
