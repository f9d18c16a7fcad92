"""Expanding a grid into its entries: every combination with its cell, or the reason why it has none."""

from __future__ import annotations

import contextlib
import gc
import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, NamedTuple

from ..contracts import AXES, DataInfo
from ..errors import GridError, MedrobustError, did_you_mean
from .blocks import Block, DetectorSpec, GoalSpec, Grid
from .builder import Builder
from .cells import Cell
from .gate import OF_ATTACKS, AttackGate, bars_detector
from .metadata import MetadataCache
from .parts import Part
from .plan import Entry
from .settings import Setting
from .targets import Target


def expand(grid: Grid, metadata: MetadataCache) -> list[Entry]:
    """All combinations of a grid, in the order of its axes; the clean record of each target comes in if not asked for.

    A cell that a grid names in several ways has an entry for each of them.

    Raises:
        GridError: for what is wrong with the grid rather than impossible for one combination.
    """
    with without_collector():
        expansions = [_Expansion(block, metadata) for block in grid.blocks]
        entries = [entry for each in expansions for entry in each.entries()]
        there = {(e.labels, e.cell.id) for e in entries if e.cell is not None and e.cell.attack is None}
        for clean in itertools.chain.from_iterable(each.clean.values() for each in expansions):
            assert clean.cell is not None
            if (clean.labels, clean.cell.id) not in there:
                there.add((clean.labels, clean.cell.id))
                entries.append(clean)
    return entries


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Pause the cycle collector while very many objects are made that live on: it would walk all of them many times."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _At(NamedTuple):
    """One combination of a block, as the number of its choice on each axis (in the order of `AXES`)."""

    dataset: int
    train_set: int
    model: int
    defense: int
    attack: int
    goal: int
    budget: int
    precision: int
    surrogate: int
    craft_on: int
    evaluate_on: int
    detector: int
    seed: int


_ATTACK: Final = AXES.index("attack")
_TRAINED: Final = (*AXES[:_ATTACK], "seed")
"""Axes that a target depends on."""
_BY_THE_GRID: Final = "excluded by the grid"
_OTHER_CLASSES: Final = "the surrogate has other classes than the target"
_CLEAN_LABELS: Final = {**dict.fromkeys(OF_ATTACKS, ""), "attack": "none"}


class _Expansion:
    """Expands one block. Choices are numbered, and whatever several cells share is kept by those numbers."""

    def __init__(self, block: Block, metadata: MetadataCache) -> None:
        self.block = block
        self.metadata = metadata
        self.builder = Builder(metadata, block.split_seed, block.threads)
        self.clean: dict[tuple[int, ...], Entry] = {}
        """The clean record of every cell so far, by the numbers of what it depends on."""
        self._values = {axis: [choice.value for choice in choices] for axis, choices in block.axes.items()}
        self._labels = [tuple(c.label for c in block.axes[a]) or ("",) for a in AXES]
        self._attacks = [AttackGate(choice.value) for choice in block.axes["attack"]]
        self._targets: dict[tuple[int, ...], Target] = {}
        self._sources: dict[tuple[int, ...], Target] = {}
        self._parts: dict[tuple[int, int], Part] = {}
        self._settings: dict[tuple[Any, ...], Setting] = {}
        self._gated: dict[tuple[int, ...], str] = {}
        self._check_goals()

    def _check_goals(self) -> None:
        """A target class that no data set has is a mistake of the grid."""
        for choice in self.block.axes["goal"]:
            goal: GoalSpec = choice.value
            classes: set[str] = set()
            for dataset in self.block.axes["dataset"]:
                try:
                    classes |= set(self.metadata.data(dataset.value)[0].classes)
                except MedrobustError:
                    return
            if goal.targeted and goal.target not in classes:
                raise GridError(
                    f"{self.block.where}.goal: no class is called '{goal.target}'{did_you_mean(goal.target, classes)}"
                )

    def entries(self) -> Iterator[Entry]:
        """An entry for every distinct combination of labels."""
        if not self.block.axes["budget"] and not all(each.clean for each in self._attacks):
            raise GridError(f"{self.block.where}: 'budget' is missing; attacks need one, such as \"linf:1/255\"")
        seen: set[tuple[tuple[str, ...], str]] = set()
        spared: set[int] = set()
        useless: dict[int, str] = {}
        for at, labels in self._combinations():
            entry = self._entry(at, labels)
            if not self._attacks[at.attack].clean:
                reason = entry.excluded if entry.excluded.startswith(_OTHER_CLASSES) else ""
                useless[at.surrogate] = useless.get(at.surrogate, reason) and reason
            if entry.impossible or entry.excluded == _BY_THE_GRID:
                spared.add(at.attack)
            key = (labels, entry.cell.id if entry.cell is not None else "")
            if key not in seen:
                seen.add(key)
                yield entry
        self._check_attacks(spared)
        self._check_surrogates(useless)

    def _combinations(self) -> Iterator[tuple[_At, tuple[str, ...]]]:
        """Every combination with its labels; an axis that means nothing to an attack has no label and is not walked."""
        ranges = [range(len(labels)) for labels in self._labels]
        for head in itertools.product(*ranges[:_ATTACK]):
            for number, attack in enumerate(self._attacks):
                names = [("",) if a in attack.silent else n for a, n in zip(AXES, self._labels, strict=True)]
                names[_ATTACK] = ("none",) * len(self._attacks) if attack.clean else names[_ATTACK]
                tails = [range(len(n)) for n in names[_ATTACK + 1 :]]
                for tail in itertools.product(*tails):
                    at = _At._make((*head, number, *tail))
                    yield at, tuple([labels[i] for labels, i in zip(names, at, strict=True)])

    def _entry(self, at: _At, labels: tuple[str, ...]) -> Entry:
        block = self.block
        if block.exclude and block.excluded(dict(zip(AXES, labels, strict=True))):
            return Entry(labels, block.tags, None, excluded=_BY_THE_GRID)
        try:
            cell, reason = self._cell(at)
        except MedrobustError as error:
            return Entry(labels, block.tags, None, impossible=str(error))
        if cell is None:
            return Entry(labels, block.tags, None, excluded=reason)
        if cell.attack is None:
            return Entry(_without_paths(labels, cell), block.tags, cell)
        of_clean = (*at[:_ATTACK], at.evaluate_on, at.seed)
        if of_clean not in self.clean:
            names = tuple(_CLEAN_LABELS.get(a, label) for a, label in zip(AXES, labels, strict=True))
            self.clean[of_clean] = Entry(_without_paths(names, cell), block.tags, cell.clean)
        return Entry(_without_paths(labels, cell), block.tags, cell, probes=block.probes)

    def _check_attacks(self, spared: set[int]) -> None:
        """An attack that the threat models exclude from every combination is a mistake in the grid.

        `spared` are attacks that left a combination out for another reason.
        """
        for number, choice in enumerate(self.block.axes["attack"]):
            reasons = [reason for (attack, *_), reason in self._gated.items() if attack == number]
            if reasons and all(reasons) and number not in spared:
                raise GridError(
                    f"{self.block.where}.attack: '{choice.label}' cannot run with any budget, goal and data set of "
                    f"this grid: {reasons[0]}. Change one of them or leave the attack out"
                )

    def _check_surrogates(self, useless: dict[int, str]) -> None:
        """A surrogate whose classes are those of no target is a mistake in the grid.

        `useless` has, for each surrogate, why every combination with it is excluded, or nothing.
        """
        for number, reason in useless.items():
            if reason:
                label = self.block.axes["surrogate"][number].label
                raise GridError(
                    f"{self.block.where}.surrogate: '{label}' can stand for no target of this grid: {reason}. Take one "
                    "that is trained on data of the target's classes"
                )

    def _cell(self, at: _At) -> tuple[Cell | None, str]:
        """The cell of a combination, or why there is none."""
        target, attack = self._target(at), self._attacks[at.attack]
        part = self._part(at)
        if attack.clean:
            return Cell(target, part), ""
        if reason := self._gate(at, target.info):
            return None, reason
        detector = self._detector(at)
        if reason := bars_detector(detector, attack, part, target, self.block.stop):
            return None, reason
        if detector is not None and detector.source is not None:
            goal, budget = self._values["goal"][at.goal], self._values["budget"][at.budget]
            if reason := AttackGate(detector.source).bars(goal, budget, target.info):
                return None, f"the detector's source: {reason}"
        precision = self._values["precision"][at.precision]
        budget = self._values["budget"][at.budget]
        if reason := attack.bars_stop(self.block.stop, target, budget) or attack.bars_precision(precision):
            return None, reason
        source = self._source(at, target)
        if self.block.stop == "success" and source.id != target.id:
            return None, "stop = 'success' needs the attack to see the target itself, not a surrogate"
        if not attack.universal and source is not target and source.info.classes != target.info.classes:
            return None, f"{_OTHER_CLASSES}: {', '.join(source.info.classes)}, not {', '.join(target.info.classes)}"
        return Cell(target, part, attack.spec, source, self._setting(at, target, part), detector), ""

    def _detector(self, at: _At) -> DetectorSpec | None:
        """The detector of a combination; one that learns from the attack it faces says so, however it was written."""
        if not self._values["detector"]:
            return None
        detector: DetectorSpec = self._values["detector"][at.detector]
        faced = self._attacks[at.attack].spec
        same = detector.source is not None and detector.source.canonical == faced.canonical
        return replace(detector, source=None) if same else detector

    def _gate(self, at: _At, info: DataInfo) -> str:
        """Why an attack cannot run with a goal and a budget on a data set; empty if it can."""
        key = (at.attack, at.goal, at.budget, at.dataset)
        if key not in self._gated:
            goal, budget = self._values["goal"][at.goal], self._values["budget"][at.budget]
            self._gated[key] = self._attacks[at.attack].bars(goal, budget, info)
        return self._gated[key]

    def _target(self, at: _At) -> Target:
        key = (*at[:_ATTACK], at.seed)
        if key not in self._targets:
            self._targets[key] = self.builder.target(**self._trained(at))
        return self._targets[key]

    def _source(self, at: _At, target: Target) -> Target:
        key = (*at[:_ATTACK], at.seed, at.surrogate)
        if key not in self._sources:
            patch = self._values["surrogate"][at.surrogate]
            self._sources[key] = self.builder.source(target, patch, self._trained(at))
        return self._sources[key]

    def _trained(self, at: _At) -> dict[str, Any]:
        """What determines a target, by axis."""
        return {
            axis: self._values[axis][number] for axis, number in zip(_TRAINED, (*at[:_ATTACK], at.seed), strict=True)
        }

    def _part(self, at: _At) -> Part:
        key = (at.evaluate_on, at.dataset)
        if key not in self._parts:
            spec, own = self._values["evaluate_on"][at.evaluate_on], self._values["dataset"][at.dataset]
            self._parts[key] = self.builder.part(spec, own)
        return self._parts[key]

    def _setting(self, at: _At, target: Target, part: Part) -> Setting:
        attack = self._attacks[at.attack]
        shared = (at.dataset, at.train_set, at.goal, at.budget, at.precision, at.craft_on, at.evaluate_on, at.seed)
        key = (attack.universal, attack.batch, *shared)
        if key not in self._settings:
            value = {axis: self._values[axis][number] for axis, number in at._asdict().items() if self._values[axis]}
            self._settings[key] = Setting(
                goal=value["goal"],
                budget=value["budget"],
                part=part,
                train=target.train,
                seed=target.seed,
                precision=value["precision"],
                stop=self.block.stop,
                craft_on=self.builder.part(value["craft_on"], value["dataset"]) if attack.universal else None,
                batch=attack.batch,
            )
        return self._settings[key]


def _without_paths(labels: tuple[str, ...], cell: Cell) -> tuple[str, ...]:
    """Labels in which a checkpoint is called by its file's name and content, rather than by its path."""
    for target in (cell.target, cell.source):
        if target is not None and "checkpoint" in target.model_fields:
            written, named = target.model.name, target.model_name
            labels = tuple([label.replace(written, named) for label in labels])
    return labels
