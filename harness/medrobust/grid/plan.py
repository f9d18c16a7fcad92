"""The plan: a graph of steps that makes the missing cells of a grid."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ..contracts import AnyAttack, BudgetSpec, DerivedAttack, cumulative_field
from ..plugins.specs import Spec
from .cells import Cell, Entry, Part, Target
from .reader import GoalSpec, Stop


@dataclass(frozen=True, eq=False)
class FitStep:
    """Train a model."""

    id: str
    target: Target
    needs: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"fit {self.target.model.label} on {self.target.train.dataset.label}, seed {self.target.seed}"


@dataclass(frozen=True, eq=False)
class Output:
    """What one cell takes from a craft step.

    Attributes:
        cell: identity of the cell.
        label: the cell in words.
        target: the model the adversarial images are shown to.
        attack: the attack as the cell states it: the root at the cell's cumulative value, or derived from it.
        value: the cumulative value the cell stands for, or None.
    """

    cell: Cell
    attack: Spec | None
    value: int | None

    @property
    def chain(self) -> tuple[DerivedAttack, ...]:
        """Derived attacks from the root outwards."""
        chain: list[DerivedAttack] = []
        plugin = self.attack.plugin if self.attack else None
        while isinstance(plugin, DerivedAttack):
            chain.append(plugin)
            plugin = plugin.of
        return tuple(reversed(chain))


@dataclass(frozen=True, eq=False)
class CraftStep:
    """Craft adversarial images once and stream them past every target that wants them.

    `root` is the attack at the largest cumulative value asked for; None evaluates the clean images.
    """

    id: str
    source: Target
    part: Part
    root: AnyAttack | None
    goal: GoalSpec | None
    budget: BudgetSpec | None
    craft_on: Part | None
    stop: Stop
    outputs: tuple[Output, ...]
    needs: tuple[str, ...]

    def describe(self) -> str:
        return self.outputs[0].cell.describe()

    @property
    def passes(self) -> int:
        """Cells it makes."""
        return len(self.outputs)


Step = FitStep | CraftStep


@dataclass(frozen=True)
class Plan:
    """All entries of a grid; `steps` makes what a store lacks."""

    name: str
    profile: str
    entries: tuple[Entry, ...]

    @cached_property
    def cells(self) -> Mapping[str, Cell]:
        """Distinct cells by identity, in order."""
        return {e.cell.id: e.cell for e in self.entries if e.cell is not None}

    @property
    def excluded(self) -> Iterator[Entry]:
        return (e for e in self.entries if e.excluded)

    @property
    def impossible(self) -> Iterator[Entry]:
        return (e for e in self.entries if e.impossible)

    def steps(self, done: Collection[str], fitted: Collection[str]) -> list[Step]:
        """The steps that make every cell not in `done`, training only what is not in `fitted`."""
        groups: dict[str, list[Cell]] = {}
        for cell in self.cells.values():
            if cell.id not in done:
                groups.setdefault(cell.craft_id, []).append(cell)
        crafts = [_craft(key, cells, fitted) for key, cells in groups.items()]
        fits: dict[str, Step] = {}
        for craft in crafts:
            for target in (craft.source, *(o.cell.target for o in craft.outputs)):
                if target.fit_id not in fitted:
                    fits.setdefault(target.fit_id, FitStep(target.fit_id, target))
        return [*fits.values(), *crafts]


def _craft(key: str, cells: list[Cell], fitted: Collection[str]) -> CraftStep:
    first = cells[0]
    source = first.source or first.target
    targets = {t.fit_id for t in (source, *(c.target for c in cells))}
    needs = tuple(sorted(t for t in targets if t not in fitted))
    if first.root is None:
        outputs = tuple(Output(c, None, None) for c in cells)
        return CraftStep(key, source, first.part, None, None, None, None, "full", outputs, needs)
    field = cumulative_field(first.root)
    values = {c.id: getattr(c.root, field) if field else None for c in cells}
    root = dataclasses.replace(first.root, **{field: max(v for v in values.values() if v)}) if field else first.root
    outputs = tuple(Output(c, c.attack, values[c.id]) for c in cells)
    return CraftStep(
        key, source, first.part, root, first.goal, first.budget, first.craft_on, first.stop, outputs, needs
    )
