"""The plan: a graph of steps that makes the missing cells of a grid."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ..contracts import AnyAttack, BudgetSpec, TrainingDefense, UniversalAttack, cumulative_field
from ..plugins.specs import Spec
from .blocks import GoalSpec, Stop
from .cells import Cell, Entry, Part, Target
from .expansion import without_collector


@dataclass(frozen=True, eq=False)
class FitStep:
    """Train a model."""

    id: str
    target: Target
    needs: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"fit {self.target.model.label} on {self.target.train.dataset.label}, seed {self.target.seed}"

    @property
    def threads(self) -> int:
        return self.target.threads


@dataclass(frozen=True, eq=False)
class DefenseStep:
    """Harden a trained model; `target` is at the last iteration asked for, earlier ones are kept on the way."""

    id: str
    target: Target
    needs: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"harden {self.target.describe()}"

    @property
    def threads(self) -> int:
        return self.target.threads


@dataclass(frozen=True, eq=False)
class UniversalStep:
    """Fit a universal perturbation, `root` at the largest cumulative value; `cells` has one cell for each value."""

    id: str
    root: AnyAttack
    cells: tuple[Cell, ...]
    needs: tuple[str, ...] = ()

    @property
    def source(self) -> Target:
        assert self.cells[0].source is not None
        return self.cells[0].source

    def describe(self) -> str:
        return f"perturbation of {self.cells[0].describe()}"

    @property
    def threads(self) -> int:
        return self.source.threads


@dataclass(frozen=True, eq=False)
class Output:
    """What one cell takes from a craft step.

    Attributes:
        cell: identity of the cell.
        value: the cumulative value the cell stands for, or None.
    """

    cell: Cell
    value: int | None


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
    def threads(self) -> int:
        return self.source.threads

    @property
    def passes(self) -> int:
        """Cells it makes."""
        return len(self.outputs)


@dataclass(frozen=True, eq=False)
class ProbeStep:
    """Measure of one cell what its record does not show."""

    id: str
    cell: Cell
    probe: Spec
    needs: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"{self.probe.label} of {self.cell.describe()}"

    @property
    def threads(self) -> int:
        return self.cell.target.threads


Step = FitStep | DefenseStep | UniversalStep | CraftStep | ProbeStep


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

    @cached_property
    def probes(self) -> Mapping[str, tuple[Cell, Spec]]:
        """What is measured beyond records: cell and probe by the identity under which it is kept."""
        return {e.cell.probe_id(p): (e.cell, p) for e in self.entries if e.cell is not None for p in e.probes}

    @property
    def excluded(self) -> Iterator[Entry]:
        return (e for e in self.entries if e.excluded)

    @property
    def impossible(self) -> Iterator[Entry]:
        return (e for e in self.entries if e.impossible)

    def steps(self, done: Done) -> list[Step]:
        """The steps that make every cell that is not there, with the models and perturbations they need."""
        with without_collector():
            groups: dict[str, list[Cell]] = {}
            for cell in self.cells.values():
                if cell.id not in done.cells:
                    groups.setdefault(cell.craft_id, []).append(cell)
            made: dict[str, Step] = {}
            crafts = [_craft(key, cells, done, made) for key, cells in groups.items()]
            probes = [_probe(key, cell, probe, done, made) for key, (cell, probe) in self.probes.items()]
            return [*made.values(), *crafts, *(p for p in probes if p is not None)]


@dataclass(frozen=True)
class Done:
    """What a store holds already.

    Attributes:
        cells: identities of cells with a verdict.
        weights: identities of trained or hardened weights.
        artifacts: identities of perturbations and of what probes measured.
    """

    cells: Collection[str] = ()
    weights: Collection[str] = ()
    artifacts: Collection[str] = ()


def _craft(key: str, cells: list[Cell], done: Done, made: dict[str, Step]) -> CraftStep:
    """The craft step of cells that share a run of an attack; what it needs is added to `made`."""
    first = cells[0]
    source = first.source or first.target
    needs = {n for t in (source, *(c.target for c in cells)) for n in _weights(t, done, made)}
    if first.root is None:
        outputs = tuple(Output(c, None) for c in cells)
        return CraftStep(key, source, first.part, None, None, None, None, "full", outputs, tuple(sorted(needs)))
    field = cumulative_field(first.root)
    values = {c.id: getattr(c.root, field) if field else None for c in cells}
    root = at_value(first.root, field, max(v for v in values.values() if v is not None)) if field else first.root
    if isinstance(root, UniversalAttack):
        needs |= _perturbation(root, cells, done, made)
    outputs = tuple(Output(c, values[c.id]) for c in cells)
    return CraftStep(
        key,
        source,
        first.part,
        root,
        first.goal,
        first.budget,
        first.craft_on,
        first.stop,
        outputs,
        tuple(sorted(needs)),
    )


def _probe(key: str, cell: Cell, probe: Spec, done: Done, made: dict[str, Step]) -> ProbeStep | None:
    """The step that measures a cell, or None if that is there; what it needs is added to `made`."""
    if key in done.artifacts:
        return None
    needs = {n for t in (cell.source or cell.target, cell.target) for n in _weights(t, done, made)}
    if isinstance(cell.root, UniversalAttack):
        needs |= _perturbation(cell.root, [cell], done, made)
    return ProbeStep(key, cell, probe, tuple(sorted(needs)))


def _weights(target: Target, done: Done, made: dict[str, Step]) -> Iterator[str]:
    """Steps that a target's weights wait for; added to `made` if the weights are not there."""
    if target.weights_id() in done.weights:
        return
    if target.fit_id not in done.weights and target.fit_id not in made:
        needs = tuple(_weights(target.pretrained, done, made)) if target.pretrained else ()
        made[target.fit_id] = FitStep(target.fit_id, target, needs)
    if isinstance(target.defense.plugin, TrainingDefense):
        step = made.get(target.defense_id)
        needs = (target.fit_id,) if target.fit_id in made else ()
        if step is None or _iterations(target) > _iterations(step.target):  # type: ignore[union-attr]
            made[target.defense_id] = DefenseStep(target.defense_id, target, needs)
        yield target.defense_id
    elif target.fit_id in made:
        yield target.fit_id


def _iterations(target: Target) -> int:
    field = cumulative_field(target.defense.plugin)
    return getattr(target.defense.plugin, field) if field else 1


def _perturbation(root: UniversalAttack, cells: list[Cell], done: Done, made: dict[str, Step]) -> set[str]:
    """The step that a universal attack's perturbations wait for; one run gives every value of its cumulative field."""
    missing = [c for c in cells if c.perturbation_id not in done.artifacts]
    if not missing:
        return set()
    key = missing[0].universal_id
    step = made.get(key)
    known = {c.perturbation_id: c for c in (*(step.cells if isinstance(step, UniversalStep) else ()), *missing)}
    field = cumulative_field(root)
    largest: AnyAttack = root
    if isinstance(step, UniversalStep) and field is not None and getattr(step.root, field) > getattr(root, field):
        largest = step.root
    assert missing[0].source is not None
    needs = tuple(sorted(_weights(missing[0].source, done, made)))
    made[key] = UniversalStep(key, largest, tuple(known.values()), needs)
    return {key}


def at_value(attack: AnyAttack, field: str, value: int) -> AnyAttack:
    """The same attack at another value of its cumulative field."""
    return dataclasses.replace(attack, **{field: value})  # type: ignore[type-var]
