"""Cells: what a grid asks for, one by one, each with its identity or the reason why it is excluded."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..contracts import (
    AnyAttack,
    BudgetSpec,
    DataInfo,
    Dataset,
    DataSource,
    DerivedAttack,
    Hardening,
    Model,
    Pretraining,
    UniversalAttack,
    cumulative_field,
)
from ..errors import DataUnavailable, GridError, MedrobustError, PluginError, did_you_mean
from ..plugins.builtin import NoDefense
from ..plugins.registry import Registry, cause_of
from ..plugins.specs import Canonical, Spec, plain, spec_of, without_value
from .identity import REVISIONS, digest
from .reader import AXES, Block, DetectorSpec, GoalSpec, Grid, PartSpec, Stop, SurrogatePatch
from .slices import Slice

Fields = dict[str, Any]


class Catalogue:
    """What is known of data sets and checkpoints without decoding them, asked once each."""

    def __init__(self, source: DataSource, registry: Registry) -> None:
        self.source = source
        self.registry = registry
        self._data: dict[str, tuple[DataInfo, Fields] | MedrobustError] = {}
        self._models: dict[int, tuple[Spec, Fields]] = {}

    def data(self, dataset: Spec) -> tuple[DataInfo, Fields]:
        """The description and the identity fields of a data set.

        Raises:
            DataUnavailable: if its files are not there.
        """
        key = dataset.canonical
        if key not in self._data:
            assert isinstance(dataset.plugin, Dataset)
            try:
                info = dataset.plugin.describe(self.source)
                fields = {**dataset.fields, "fingerprint": dataset.plugin.fingerprint(self.source)}
                self._data[key] = (info, fields)
            except MedrobustError as error:
                self._data[key] = error
            except Exception as error:  # noqa: BLE001 - a defect of one plugin must not end the run
                origin = f"{dataset.offer.distribution} {dataset.offer.version}"
                self._data[key] = PluginError(f"data set '{dataset.label}' ({origin}): {cause_of(error)}")
        found = self._data[key]
        if isinstance(found, MedrobustError):
            raise found
        return found

    def model(self, model: Spec) -> Fields:
        """The identity fields of a model; a checkpoint file counts by its content."""
        if id(model) not in self._models:
            assert isinstance(model.plugin, Model)
            fields = model.fields
            if isinstance(model.plugin.init, str) and model.plugin.init not in ("random", "imagenet"):
                file = self.source.find(model.plugin.init, what=f"checkpoint '{model.plugin.init}'")
                fields = {**fields, "init": Path(model.plugin.init).name, "checkpoint": _file_hash(file)}
            self._models[id(model)] = (model, fields)
        return self._models[id(model)][1]


def _file_hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Part:
    """A slice of a data set."""

    dataset: Spec
    data: Fields
    slice: Slice
    split_seed: int

    @cached_property
    def fields(self) -> Fields:
        return {
            "data": self.data,
            "slice": str(self.slice),
            "split_seed": self.split_seed,
            "revision": REVISIONS["slice"],
        }

    @cached_property
    def id(self) -> str:
        return digest(self.fields)


@dataclass(frozen=True, eq=False)
class Target:
    """A model trained on a part of a data set, and its defense."""

    train: Part
    info: DataInfo
    model: Spec
    model_fields: Fields
    defense: Spec
    seed: int
    threads: int
    pretrained: Target | None = None
    """The model whose weights it starts from."""
    shape: tuple[int, int, int] | None = None
    """(channels, height, width) to build for, where it is not that of its images: pre-training for another data set."""

    @cached_property
    def fit_fields(self) -> Fields:
        """What determines the trained weights."""
        return {
            "train": self.train.fields,
            "model": self.model_fields,
            "seed": self.seed,
            "threads": self.threads,
            "revision": REVISIONS["fit"],
            **({"pretrained": self.pretrained.fit_fields} if self.pretrained else {}),
            **({"shape": list(self.shape)} if self.shape else {}),
        }

    @cached_property
    def fit_id(self) -> str:
        return digest(self.fit_fields)

    @cached_property
    def harden_id(self) -> str:
        """Equal for all iterations of one hardening of one model."""
        assert isinstance(self.defense.plugin, Hardening)
        return digest("harden", self.fit_id, without_value(self.defense.plugin), REVISIONS["harden"])

    def weights_id(self, iteration: int | None = None) -> str:
        """Under which the weights are kept: the fit's, or those of an iteration (None: the last) of its hardening."""
        if not isinstance(self.defense.plugin, Hardening):
            return self.fit_id
        field = cumulative_field(self.defense.plugin)
        if iteration is None and field is not None:
            iteration = getattr(self.defense.plugin, field)
        return digest(self.harden_id, iteration or "last")

    @cached_property
    def fields(self) -> Fields:
        return {**self.fit_fields, "defense": self.defense.fields}

    @cached_property
    def id(self) -> str:
        return digest(self.fit_id, self.defense.canonical)

    def describe(self) -> str:
        """For progress and messages."""
        defense = "" if self.defense.offer.name == "none" else f" + {self.defense.label}"
        return f"{self.model.label}{defense} on {self.train.dataset.label}, seed {self.seed}"


@dataclass(frozen=True, eq=False)
class Cell:
    """One result: a target, evaluated on a part, under an attack crafted against a source.

    `attack`, `source`, `goal` and `budget` are None for the clean record.
    """

    target: Target
    part: Part
    stop: Stop = "full"
    attack: Spec | None = None
    source: Target | None = None
    goal: GoalSpec | None = None
    budget: BudgetSpec | None = None
    craft_on: Part | None = None
    detector: DetectorSpec | None = None

    @cached_property
    def root(self) -> AnyAttack | None:
        """The attack that is crafted, below everything derived from it, at its largest cumulative value."""
        plugin: Any = self.attack.plugin if self.attack else None
        while isinstance(plugin, DerivedAttack):
            plugin = plugin.of
        return plugin  # type: ignore[no-any-return]

    @property
    def _attack_fields(self) -> Fields:
        assert self.source is not None
        assert self.goal is not None
        assert self.budget is not None
        return {
            "goal": str(self.goal),
            "budget": self.budget.canonical,
            # A radius in percent refers to the images the target was trained on.
            "zeta_of": self.target.train.id if self.budget.needs_training_set else None,
            "craft_on": self.craft_on.id if self.craft_on else None,
            "evaluate_on": self.part.id,
            "seed": self.target.seed,
            "stop": self.stop,
            "revision": REVISIONS["craft"],
        }

    @cached_property
    def _attack_text(self) -> Canonical:
        return Canonical.of(self._attack_fields)

    @cached_property
    def id(self) -> str:
        if self.attack is None or self.source is None:
            return digest("clean", self.target.id, self.part.id)
        detector = [self.detector.detector.fields, str(self.detector.fit_on)] if self.detector else None
        learns_from = self.detector.source.fields if self.detector and self.detector.source else None
        return digest(self.target.id, self.source.id, self.attack.canonical, self._attack_text, detector, learns_from)

    @cached_property
    def craft_id(self) -> str:
        """Equal for cells whose adversarial images come from one run of one attack against one source."""
        if self.attack is None or self.source is None or self.root is None:
            return self.id
        return digest("craft", self.source.id, self.attack.family, self._attack_text)

    @cached_property
    def perturbation_id(self) -> str:
        """Under which the perturbation of a universal attack is kept: what it is added to plays no part."""
        assert self.source is not None
        assert self.root is not None
        fields = {k: v for k, v in self._attack_fields.items() if k not in ("evaluate_on", "stop")}
        return digest("perturbation", self.source.id, plain(self.root), fields)

    @cached_property
    def perturb_id(self) -> str:
        """Equal for all values of the cumulative field of one universal attack."""
        assert self.source is not None
        assert self.attack is not None
        fields = {k: v for k, v in self._attack_fields.items() if k not in ("evaluate_on", "stop")}
        return digest("perturb", self.source.id, self.attack.family, fields)

    @property
    def fields(self) -> Fields:
        """Everything its identity rests on, readable."""
        fields: Fields = {"target": self.target.fields, "evaluate_on": self.part.fields}
        if self.attack is None or self.source is None:
            return fields
        return {
            **fields,
            "source": "target" if self.source.id == self.target.id else self.source.fields,
            "attack": self.attack.fields,
            **{k: v for k, v in self._attack_fields.items() if k != "evaluate_on"},
            "craft_on": self.craft_on.fields if self.craft_on else None,
        }

    @property
    def clean(self) -> Cell:
        """The clean record this cell is compared with."""
        return Cell(self.target, self.part)

    def axes(self) -> dict[str, str]:
        """What stands on each axis, without the aliases of one grid."""
        target, source = self.target, self.source
        transfer = source is not None and source.id != target.id
        return {
            "dataset": target.train.dataset.name,
            "train_set": str(target.train.slice),
            "model": target.model.name,
            "defense": target.defense.name,
            "attack": self.attack.name if self.attack else "none",
            "goal": str(self.goal or ""),
            "budget": str(self.budget or ""),
            "surrogate": source.describe() if source and transfer else "",
            "craft_on": str(self.craft_on.slice) if self.craft_on else "",
            "evaluate_on": str(self.part.slice),
            "detector": "",
            "seed": str(target.seed),
        }

    def describe(self) -> str:
        """For progress and messages."""
        if self.attack is None or self.source is None:
            return f"clean, {self.target.describe()}"
        transfer = "" if self.source.id == self.target.id else f" crafted on {self.source.describe()}"
        return f"{self.attack.label} {self.budget} {self.goal}, {self.target.describe()}{transfer}"


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One combination of a grid: its labels, and either its cell or why there is none."""

    labels: tuple[str, ...]
    tags: Mapping[str, str]
    cell: Cell | None
    excluded: str = ""
    """Impossible by the threat model or excluded by the grid."""
    impossible: str = ""
    """Impossible here: data or weights are missing."""

    def row(self) -> dict[str, str]:
        """Labels by axis and tags as `tags.NAME`."""
        return dict(zip(AXES, self.labels, strict=True)) | {f"tags.{k}": v for k, v in self.tags.items()}


def expand(grid: Grid, catalogue: Catalogue) -> list[Entry]:
    """All combinations of a grid, in the order of its axes; the clean record of each target comes in if not asked for.

    Raises:
        GridError: for what is wrong with the grid rather than impossible for one combination.
    """
    with without_collector():
        entries = [entry for block in grid.blocks for entry in _Expansion(block, catalogue).entries()]
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
_CLEAN_LABELS = {"attack": "none", "goal": "", "budget": "", "surrogate": "", "craft_on": "", "detector": ""}


class _Expansion:
    """Expands one block; every part is built once and shared."""

    def __init__(self, block: Block, catalogue: Catalogue) -> None:
        self.block = block
        self.catalogue = catalogue
        self._parts: dict[Any, Part] = {}
        self._targets: dict[Any, Target] = {}
        # Axis values live as long as their block, so that their addresses name them; hashing them would take longer.
        self._parts_by_choice: dict[tuple[int, int], Part] = {}
        self._targets_by_choice: dict[tuple[int, ...], Target] = {}
        self._instances: dict[tuple[int, int], Spec] = {}
        self._texts: dict[tuple[int, ...], Canonical] = {}
        self._excluded: dict[Any, str] = {}
        self._check_goals()

    def _check_goals(self) -> None:
        """A target class that no data set has is a mistake of the grid."""
        for choice in self.block.axes["goal"]:
            goal: GoalSpec = choice.value
            classes: set[str] = set()
            for dataset in self.block.axes["dataset"]:
                try:
                    classes |= set(self.catalogue.data(dataset.value)[0].classes)
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
                yield Entry(ordered, self.block.tags, cell)
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
        return self._with_text(Cell(target, part, self.block.stop, attack, source, goal, budget, craft_on)), ""

    def _with_text(self, cell: Cell) -> Cell:
        """A cell that shares the text of its goal, budget and images with those that have the same."""
        shared = (cell.goal, cell.budget, cell.part, cell.craft_on, cell.target.train)
        key = (*map(id, shared), cell.target.seed)
        if key in self._texts:
            cell.__dict__["_attack_text"] = self._texts[key]
        else:
            self._texts[key] = cell._attack_text
        return cell

    @staticmethod
    def _gate(attack: Spec, goal: GoalSpec, budget: BudgetSpec, info: DataInfo) -> str:
        if goal.targeted and goal.target not in info.classes:
            return f"the data set has no class '{goal.target}'"
        plugin: Any = attack.plugin
        while plugin is not None:
            reason = plugin.threat.excludes(
                norm=budget.norm, targeted=goal.targeted, task=info.task, minimal=budget.eps is None
            )
            if reason:
                return f"attack '{plugin.title}' {reason}"
            plugin = plugin.of if isinstance(plugin, DerivedAttack) else None
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
            info, fields = self.catalogue.data(dataset)
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
            info, _ = self.catalogue.data(dataset)
            train = self._part(PartSpec(train_set), dataset)
            fields = self.catalogue.model(model)
            pretrained = self._pretrained(info, model, seed)
            self._targets[key] = Target(train, info, model, fields, defense, seed, self.block.threads, pretrained)
        return self._targets[key]

    def _pretrained(self, info: DataInfo, model: Spec, seed: int) -> Target | None:
        """The target that a model's initial weights come from, built for the shape it is tuned at."""
        assert isinstance(model.plugin, Model)
        init = model.plugin.init
        if not isinstance(init, Pretraining):
            return None
        dataset = spec_of(init.pretrain_on, self.catalogue.registry)
        recipe = init.recipe or model.plugin.recipe
        base = dataclasses.replace(model, plugin=dataclasses.replace(model.plugin, init="random", recipe=recipe))
        train = self._part(PartSpec(Slice.parse(init.train_set)), dataset)
        none = Spec(self.catalogue.registry.find("defense", "none"), NoDefense(), "none")
        return Target(
            train,
            self.catalogue.data(dataset)[0],
            base,
            self.catalogue.model(base),
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


def _root(plugin: AnyAttack) -> AnyAttack:
    while isinstance(plugin, DerivedAttack):
        plugin = plugin.of
    return plugin


def at_value(attack: AnyAttack, field: str, value: int) -> AnyAttack:
    """The same attack at another value of its cumulative field."""
    return dataclasses.replace(attack, **{field: value})  # type: ignore[type-var]


def with_instance(model: Spec, instance: int) -> Spec:
    """The same model as another independent repetition."""
    plugin = dataclasses.replace(model.plugin, instance=instance)  # type: ignore[type-var]
    return dataclasses.replace(model, plugin=plugin)
