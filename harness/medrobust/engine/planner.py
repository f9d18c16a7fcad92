"""From the cells of a plan to the steps that make those a store lacks."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..contracts import AnyAttack, TrainingDefense, UniversalAttack, cumulative_field
from ..grid.cells import Cell
from ..grid.expansion import without_collector
from ..grid.plan import Done, Plan
from ..grid.targets import Target
from ..plugins.specs import Spec
from .crafting.roots import root_of
from .steps import CraftStep, DefenseStep, DetectStep, FitStep, PartStep, ProbeStep, Step, UniversalStep


def steps_of(plan: Plan, done: Done, *, restore: Collection[str] | None = None) -> list[Step]:
    """The steps that compute every missing cell, with the models and perturbations they need.

    Args:
        plan: what is wanted.
        done: what the store has.
        restore: cells of `done` (all if not given) for which weights, perturbations and descriptions of images are made
            again if the store has lost them.
    """
    with without_collector():
        return _Planner(done, done.cells if restore is None else restore).steps(plan)


class _Planner:
    """Builds steps; what several need is made once."""

    def __init__(self, done: Done, kept: Collection[str]) -> None:
        self.done = done
        self.shared: dict[str, Step] = {}
        """Trainings and perturbations by identity, each after those that it needs."""
        self.kept = kept
        self.restored: set[str] = set()

    def steps(self, plan: Plan) -> list[Step]:
        groups: dict[str, list[Cell]] = {}
        detections: dict[str, list[Cell]] = {}
        for cell in plan.cells.values():
            if cell.id not in self.done.cells:
                (detections if cell.detector else groups).setdefault(_group(cell), []).append(cell)
            elif cell.id in self.kept:
                self.restore(cell)
        crafts = [self.craft(key, cells) for key, cells in groups.items()]
        detects = [self.detect(key, cells) for key, cells in detections.items()]
        probes = [
            self.probe(key, cell, probe) for key, (cell, probe) in plan.probes.items() if key not in self.done.artifacts
        ]
        return [*self.shared.values(), *crafts, *detects, *probes]

    def craft(self, key: str, cells: list[Cell]) -> Step:
        """The step of cells that share a run of an attack."""
        root = root_of(cells)
        needs = {n for cell in cells for target in _models(cell) for n in self.weights(target)}
        if isinstance(root, UniversalAttack):
            needs |= self.perturbation(root, cells)
        return CraftStep(id=key, needs=tuple(sorted(needs)), root=root, makes=tuple(cells))

    def detect(self, key: str, cells: list[Cell]) -> Step:
        """The step of cells whose detectors see features of one model of the same images."""
        needs = {n for cell in cells for target in _models(cell) for n in self.weights(target)}
        for cell in cells:
            if isinstance(cell.root, UniversalAttack):
                needs |= self.perturbation(cell.root, [cell.undetected])
        return DetectStep(id=key, needs=tuple(sorted(needs)), makes=tuple(cells))

    def probe(self, key: str, cell: Cell, probe: Spec) -> Step:
        """The step that measures a cell."""
        needs = {n for target in _models(cell) for n in self.weights(target)}
        if isinstance(cell.root, UniversalAttack):
            needs |= self.perturbation(cell.root, [cell])
        return ProbeStep(id=key, needs=tuple(sorted(needs)), cell=cell, probe=probe)

    def weights(self, target: Target) -> Iterator[str]:
        """Steps that a target's weights wait for; added if the weights are not there."""
        if target.weights_id() in self.done.weights:
            return
        self.fit(target)
        if isinstance(target.defense.plugin, TrainingDefense):
            needs = (target.fit_id,) if target.fit_id in self.shared else ()
            step = self.shared.get(target.defense_id)
            if not isinstance(step, DefenseStep) or _iterations(target) > _iterations(step.target):
                self.shared[target.defense_id] = DefenseStep(id=target.defense_id, needs=needs, target=target)
            yield target.defense_id
        elif target.fit_id in self.shared:
            yield target.fit_id

    def fit(self, target: Target) -> None:
        """Add the step that trains a target's model, if its weights are not there."""
        if target.fit_id not in self.done.weights and target.fit_id not in self.shared:
            needs = tuple(self.weights(target.pretrained)) if target.pretrained else ()
            self.shared[target.fit_id] = FitStep(id=target.fit_id, needs=needs, target=target)

    def restore(self, cell: Cell) -> None:
        """Add the steps for what a finished cell depends on and the store has lost."""
        for target in _models(cell):
            if target.id not in self.restored:
                self.restored.add(target.id)
                for each in _stages(target):
                    self.fit(each)
                    # Steps are added as their names are asked for.
                    tuple(self.weights(each))
        if isinstance(cell.root, UniversalAttack):
            self.perturbation(cell.root, [cell])
        if cell.part.id not in self.done.parts and cell.part.id not in self.shared:
            self.shared[cell.part.id] = PartStep(id=cell.part.id, part=cell.part)

    def perturbation(self, root: UniversalAttack, cells: list[Cell]) -> set[str]:
        """The step that perturbations wait for; one run gives every value of the attack's cumulative field."""
        missing = [c for c in cells if c.perturbation_id not in self.done.artifacts]
        if not missing:
            return set()
        key = missing[0].universal_id
        step = self.shared.get(key)
        known = step.wanted if isinstance(step, UniversalStep) else ()
        wanted = {c.perturbation_id: c for c in (*known, *missing)}
        field = cumulative_field(root)
        largest: AnyAttack = root
        if isinstance(step, UniversalStep) and field and getattr(step.root, field) > getattr(root, field):
            largest = step.root
        assert missing[0].source is not None
        needs = tuple(sorted(self.weights(missing[0].source)))
        self.shared[key] = UniversalStep(id=key, needs=needs, root=largest, wanted=tuple(wanted.values()))
        return {key}


def _group(cell: Cell) -> str:
    """Equal for cells that one step makes."""
    return cell.detect_id if cell.detector else cell.craft_id


def _models(cell: Cell) -> tuple[Target, ...]:
    return (cell.source or cell.target, cell.target)


def _stages(target: Target) -> tuple[Target, ...]:
    """A target after those whose weights it started from."""
    return (*_stages(target.pretrained), target) if target.pretrained else (target,)


def _iterations(target: Target) -> int:
    field = cumulative_field(target.defense.plugin)
    return getattr(target.defense.plugin, field) if field else 1
