"""Expanding a grid into its entries: every combination with its cell, or the reason why it has none."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from ..contracts import AXES, AnyAttack, BudgetSpec, DataInfo, DerivedAttack, Model, Pretraining, UniversalAttack
from ..errors import DataUnavailable, GridError, MedrobustError, did_you_mean
from ..plugins.builtin import NoDefense
from ..plugins.specs import Canonical, Spec, spec_of
from .blocks import Block, GoalSpec, Grid, PartSpec, SurrogatePatch
from .cells import Cell, Entry, Part, Target
from .metadata import MetadataCache
from .slices import Slice


def expand(grid: Grid, metadata: MetadataCache) -> list[Entry]:
    """All combinations of a grid, in the order of its axes; the clean record of each target comes in if not asked for.

    Raises:
        GridError: for what is wrong with the grid rather than impossible for one combination.
    """
    with without_collector():
        entries = [entry for block in grid.blocks for entry in _Expansion(block, metadata).entries()]
        asked = {e.cell.id for e in entries if e.cell}
        seen: set[tuple[int, int]] = set()
        for entry in list(entries):
            if entry.cell is None or entry.cell.attack is None:
                continue
            pair = (id(entry.cell.target), id(entry.cell.part))
            if pair in seen:
                continue
            seen.add(pair)
            clean = entry.cell.clean
            if clean.id not in asked:
                asked.add(clean.id)
                labels = dict(zip(AXES, entry.labels, strict=True)) | _CLEAN_LABELS
                entries.append(Entry(tuple(labels[a] for a in AXES), entry.tags, clean))
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


_ATTACK = AXES.index("attack")
_CLEAN_LABELS = {
    "attack": "none",
    "goal": "",
    "budget": "",
    "precision": "",
    "surrogate": "",
    "craft_on": "",
    "detector": "",
}


class _Expansion:
    """Expands one block; every part is built once and shared."""

    def __init__(self, block: Block, metadata: MetadataCache) -> None:
        self.block = block
        self.metadata = metadata
        self._parts: dict[Any, Part] = {}
        self._targets: dict[Any, Target] = {}
        # Axis values live as long as their block, so that their addresses name them; hashing them would take longer.
        self._parts_by_choice: dict[tuple[int, int], Part] = {}
        self._targets_by_choice: dict[tuple[int, ...], Target] = {}
        self._instances: dict[tuple[int, int], Spec] = {}
        self._texts: dict[tuple[object, ...], Canonical] = {}
        self._excluded: dict[Any, str] = {}
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
        axes = self.block.axes
        if not axes["budget"] and any(c.value.offer.name != "none" for c in axes["attack"]):
            raise GridError(f"{self.block.where}: 'budget' is missing; attacks need one, such as \"linf:1/255\"")
        seen: set[Any] = set()
        spared: set[str] = set()
        lists = [axes[a] or (None,) for a in AXES]
        for combination in itertools.product(*lists):
            ordered = tuple([c.label if c else "" for c in combination])
            chosen = dict(zip(AXES, [c.value if c else None for c in combination], strict=True))
            clean = chosen["attack"].offer.name == "none"  # type: ignore[union-attr]
            if clean:
                ordered = tuple([_CLEAN_LABELS.get(a, label) for a, label in zip(AXES, ordered, strict=True)])
            label = ordered[_ATTACK]
            if self.block.exclude and self.block.excluded(dict(zip(AXES, ordered, strict=True))):
                spared.add(label)
                if not clean or ordered not in seen:
                    yield Entry(ordered, self.block.tags, None, excluded="excluded by the grid")
                    seen.add(ordered)
                continue
            try:
                cell, reason = self._cell(chosen, clean)
            except MedrobustError as error:
                if ordered not in seen:
                    seen.add(ordered)
                    yield Entry(ordered, self.block.tags, None, impossible=str(error))
                spared.add(label)
                continue
            if cell is None:
                yield Entry(ordered, self.block.tags, None, excluded=reason)
            elif cell.id not in seen:
                seen.add(cell.id)
                yield Entry(
                    _without_paths(ordered, cell), self.block.tags, cell, probes=() if clean else self.block.probes
                )
        self._check_attacks(spared)

    def _check_attacks(self, spared: set[str]) -> None:
        """An attack that the threat models bar from every combination is a mistake of the grid.

        `spared` are labels of attacks that left a combination out for another reason.
        """
        for choice in self.block.axes["attack"]:
            reasons = [reason for (attack, *_), reason in self._excluded.items() if attack == id(choice.value)]
            if reasons and all(reasons) and choice.label not in spared:
                raise GridError(
                    f"{self.block.where}.attack: '{choice.label}' can run with no budget, goal and data set of this "
                    f"grid: {reasons[0]}. Change one of them or leave the attack out"
                )

    def _cell(self, v: Mapping[str, Any], clean: bool) -> tuple[Cell | None, str]:
        target = self._target(v["dataset"], v["train_set"], v["model"], v["defense"], v["seed"])
        part = self._part_of(v["evaluate_on"], v["dataset"])
        if clean:
            return Cell(target, part), ""
        attack: Spec = v["attack"]
        goal: GoalSpec = v["goal"]
        budget: BudgetSpec = v["budget"]
        key = (id(attack), id(goal), id(budget), id(v["dataset"]))
        if key not in self._excluded:
            self._excluded[key] = self._gate(attack, goal, budget, target.info)
        if reason := self._excluded[key]:
            return None, reason
        if v["detector"] is not None:
            return None, "detectors are not computed yet"
        source = self._source(target, v)
        if self.block.stop == "success" and source.id != target.id:
            return None, "stop = 'success' needs the attack to see the target itself, not a surrogate"
        universal = isinstance(_root(attack.plugin), UniversalAttack)  # type: ignore[arg-type]
        craft_on = self._part_of(v["craft_on"], v["dataset"]) if universal else None
        if v["surrogate"].patch and not universal and source.info.classes != target.info.classes:
            return None, "surrogate and target have different classes"
        return self._with_text(
            Cell(target, part, self.block.stop, attack, source, goal, budget, v["precision"], craft_on)
        ), ""

    def _with_text(self, cell: Cell) -> Cell:
        """A cell that shares the text of its goal, budget and images with those that have the same."""
        shared = (cell.goal, cell.budget, cell.part, cell.craft_on, cell.target.train)
        key = (*map(id, shared), cell.target.seed, cell.precision)
        if key in self._texts:
            cell.__dict__["_attack_text"] = self._texts[key]
        else:
            self._texts[key] = cell._attack_text
        return cell

    @staticmethod
    def _gate(attack: Spec, goal: GoalSpec, budget: BudgetSpec, info: DataInfo) -> str:
        if goal.targeted and goal.target not in info.classes:
            return f"the data set has no class '{goal.target}'"
        asked: list[Any] = [attack.plugin]
        for plugin in asked:
            reason = plugin.threat.excludes(
                norm=budget.norm, targeted=goal.targeted, task=info.task, minimal=budget.eps is None
            )
            if reason:
                return f"attack '{plugin.title}' {reason}"
            asked += plugin.made_of
        return ""

    def _part_of(self, choice: PartSpec, own: Spec) -> Part:
        key = (id(choice), id(own))
        if key not in self._parts_by_choice:
            self._parts_by_choice[key] = self._part(choice, own)
        return self._parts_by_choice[key]

    def _part(self, spec: PartSpec, own: Spec) -> Part:
        dataset = spec.dataset or own
        key = (id(dataset), spec.slice)
        if key not in self._parts:
            info, fields = self.metadata.data(dataset)
            if spec.slice.split not in info.splits:
                raise DataUnavailable(
                    f"data set '{dataset.label}' has no split '{spec.slice.split}'; it has {', '.join(info.splits)}"
                )
            self._parts[key] = Part(dataset, fields, spec.slice, self.block.split_seed)
        return self._parts[key]

    def _target(self, dataset: Spec, train_set: Slice, model: Spec, defense: Spec, seed: int) -> Target:
        choice = (id(dataset), id(train_set), id(model), id(defense), seed)
        if choice not in self._targets_by_choice:
            self._targets_by_choice[choice] = self._new_target(dataset, train_set, model, defense, seed)
        return self._targets_by_choice[choice]

    def _new_target(self, dataset: Spec, train_set: Slice, model: Spec, defense: Spec, seed: int) -> Target:
        key = (id(dataset), train_set, model.canonical, id(defense), seed)
        if key not in self._targets:
            info, _ = self.metadata.data(dataset)
            train = self._part(PartSpec(train_set), dataset)
            fields = self.metadata.model(model)
            pretrained = self._pretrained(info, model, seed)
            self._targets[key] = Target(train, info, model, fields, defense, seed, self.block.threads, pretrained)
        return self._targets[key]

    def _pretrained(self, info: DataInfo, model: Spec, seed: int) -> Target | None:
        """The target that a model's initial weights come from, built for the shape it is tuned at."""
        assert isinstance(model.plugin, Model)
        init = model.plugin.init
        if not isinstance(init, Pretraining):
            return None
        dataset = spec_of(init.pretrain_on, self.metadata.registry)
        recipe = init.recipe or model.plugin.recipe
        base = dataclasses.replace(model, plugin=dataclasses.replace(model.plugin, init="random", recipe=recipe))
        train = self._part(PartSpec(Slice.parse(init.train_set)), dataset)
        none = Spec(self.metadata.registry.find("defense", "none"), NoDefense(), "none")
        return Target(
            train,
            self.metadata.data(dataset)[0],
            base,
            self.metadata.model(base),
            none,
            seed,
            self.block.threads,
            shape=(info.channels, *info.size),
        )

    def _source(self, target: Target, v: Mapping[str, Any]) -> Target:
        surrogate: SurrogatePatch = v["surrogate"]
        if not surrogate.patch and surrogate.instance is None:
            return target
        keys = {k: v[k] for k in ("dataset", "train_set", "model", "defense", "seed")} | dict(surrogate.patch)
        if surrogate.instance is None:
            return self._target(**keys)
        wanted = (0, 1) if surrogate.instance == "other" else (surrogate.instance,)
        for instance in wanted:
            source = self._target(**{**keys, "model": self._instance(keys["model"], instance)})
            if surrogate.instance != "other" or source.id != target.id:
                return source
        raise AssertionError("two instances cannot both be the target")

    def _instance(self, model: Spec, instance: int) -> Spec:
        key = (id(model), instance)
        if key not in self._instances:
            self._instances[key] = with_instance(model, instance)
        return self._instances[key]


def _without_paths(labels: tuple[str, ...], cell: Cell) -> tuple[str, ...]:
    """Labels in which a checkpoint is called by its file's name and content, which tells more than where it lies."""
    for target in (cell.target, cell.source):
        if target is not None and "checkpoint" in target.model_fields:
            written, named = target.model.name, target.model_name
            labels = tuple([label.replace(written, named) for label in labels])
    return labels


def _root(plugin: AnyAttack) -> AnyAttack:
    while isinstance(plugin, DerivedAttack):
        plugin = plugin.of
    return plugin


def with_instance(model: Spec, instance: int) -> Spec:
    """The same model as another independent repetition."""
    plugin = dataclasses.replace(model.plugin, instance=instance)  # type: ignore[type-var]
    return dataclasses.replace(model, plugin=plugin)
