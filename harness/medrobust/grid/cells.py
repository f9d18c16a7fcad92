"""What a grid asks for, one by one, each with its identity: parts of data sets, targets, cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..contracts import (
    AXES,
    AnyAttack,
    BudgetSpec,
    DataInfo,
    DerivedAttack,
    Precision,
    TrainingDefense,
    cumulative_field,
)
from ..plugins.builtin import NoDefense
from ..plugins.specs import Canonical, Spec, described, plain, without_value
from .blocks import DetectorSpec, GoalSpec, Stop
from .identity import REVISIONS, VERDICT_DRAWS, Fields, digest
from .slices import Slice


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

    @cached_property
    def slot(self) -> str:
        return digest(described(self.fields))


def named_by_content(model: Spec, fields: Fields) -> str:
    """The name of a model whose checkpoint, if it has one, is called `net.safetensors#1a2b3c` in place of its path."""
    if "checkpoint" not in fields:
        return model.name
    path = getattr(model.plugin, "init", "")
    return model.name.replace(f"init={path}", f"init={fields['init']}#{fields['checkpoint'][:6]}")


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
    def defense_id(self) -> str:
        """Equal for all iterations of one hardening of one model."""
        assert isinstance(self.defense.plugin, TrainingDefense)
        return digest("defense", self.fit_id, without_value(self.defense.plugin), REVISIONS["defense"])

    def weights_id(self, iteration: int | None = None) -> str:
        """Under which the weights are kept: the fit's, or those of an iteration (None: the last) of its hardening."""
        if not isinstance(self.defense.plugin, TrainingDefense):
            return self.fit_id
        field = cumulative_field(self.defense.plugin)
        if iteration is None and field is not None:
            iteration = getattr(self.defense.plugin, field)
        return digest(self.defense_id, iteration or "last")

    @cached_property
    def fields(self) -> Fields:
        draws = {"draws": VERDICT_DRAWS} if self.stochastic else {}
        return {**self.fit_fields, "defense": self.defense.fields, **draws}

    @cached_property
    def id(self) -> str:
        return digest(self.fit_id, self.defense.canonical, *([VERDICT_DRAWS] if self.stochastic else []))

    @cached_property
    def slot(self) -> str:
        # The model as the grid writes it, with the folder of a checkpoint: identity has the file's name and content.
        model = {"threads": self.threads, "seed": self.seed, "shape": self.shape, "model": self.model.described}
        base = self.pretrained.slot if self.pretrained else None
        return digest(self.train.slot, model, self.defense.described, base)

    @property
    def weights(self) -> tuple[str, ...]:
        """Identities of all weights it rests on, those of a pre-training first."""
        base = self.pretrained.weights if self.pretrained else ()
        return tuple(dict.fromkeys((*base, self.fit_id, self.weights_id())))

    @property
    def stochastic(self) -> bool:
        """Whether the model or its defense is random, by its own declaration."""
        return any(plugin.stochastic for plugin in (self.model.plugin, self.defense.plugin))  # type: ignore[attr-defined]

    @property
    def earlier_weights(self) -> tuple[str, ...]:
        """Identities of the iterations before the last of a defense that trains, from which training can go on."""
        defense = self.defense.plugin
        field = cumulative_field(defense) if isinstance(defense, TrainingDefense) else None
        return tuple(self.weights_id(i) for i in range(1, getattr(defense, field))) if field else ()

    @cached_property
    def model_name(self) -> str:
        """The model's name; a checkpoint is called by its file's name and the beginning of its content's hash."""
        return named_by_content(self.model, self.model_fields)

    @property
    def model_label(self) -> str:
        """The model as the grid calls it."""
        return self.model_name if self.model.label == self.model.name else self.model.label

    def describe(self) -> str:
        """For progress and messages."""
        defense = "" if isinstance(self.defense.plugin, NoDefense) else f" + {self.defense.label}"
        return f"{self.model_label}{defense} on {self.train.dataset.label}, seed {self.seed}"


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
            **({"universal": REVISIONS["universal"]} if self.craft_on else {}),
            **({"batch": self.batch} if self.batch is not None else {}),
        }

    @cached_property
    def canonical(self) -> Canonical:
        return Canonical.of(self.fields)

    def without(self, *names: str) -> Fields:
        """The fields but some."""
        return {k: v for k, v in self.fields.items() if k not in names}


@dataclass(frozen=True, eq=False)
class Cell:
    """One result: a target, evaluated on a part, under an attack crafted against a source.

    `attack`, `source` and `setting` are None for the clean record.
    """

    target: Target
    part: Part
    attack: Spec | None = None
    source: Target | None = None
    setting: Setting | None = None
    detector: DetectorSpec | None = None

    @property
    def goal(self) -> GoalSpec | None:
        return self.setting.goal if self.setting else None

    @property
    def budget(self) -> BudgetSpec | None:
        return self.setting.budget if self.setting else None

    @property
    def precision(self) -> Precision:
        return self.setting.precision if self.setting else "float32"

    @property
    def stop(self) -> Stop:
        return self.setting.stop if self.setting else "full"

    @property
    def craft_on(self) -> Part | None:
        return self.setting.craft_on if self.setting else None

    @cached_property
    def root(self) -> AnyAttack | None:
        """The attack that is crafted, below everything derived from it, at its largest cumulative value."""
        plugin: Any = self.attack.plugin if self.attack else None
        while isinstance(plugin, DerivedAttack):
            plugin = plugin.of
        return plugin  # type: ignore[no-any-return]

    @property
    def chain(self) -> tuple[DerivedAttack, ...]:
        """Attacks derived from the root, from the root outwards."""
        chain: list[DerivedAttack] = []
        plugin: Any = self.attack.plugin if self.attack else None
        while isinstance(plugin, DerivedAttack):
            chain.append(plugin)
            plugin = plugin.of
        return tuple(reversed(chain))

    @cached_property
    def cumulative_value(self) -> int | None:
        """What the attack's cumulative field is at, or None where it has none."""
        field = cumulative_field(self.root) if self.root is not None else None
        return getattr(self.root, field) if field else None

    @cached_property
    def id(self) -> str:
        if self.attack is None or self.source is None or self.setting is None:
            return self.clean_id
        detector = [self.detector.detector.fields, str(self.detector.fit_on)] if self.detector else None
        learns_from = self.detector.source.fields if self.detector and self.detector.source else None
        attack, setting = self.attack.canonical, self.setting.canonical
        return digest(self.target.id, self.source.id, attack, setting, detector, learns_from)

    @cached_property
    def slot(self) -> str:
        """Equal for cells that a grid describes alike, whatever code and files stand behind the words.

        Of the cells in one slot, the one that was asked for last supersedes the others.
        """
        if self.attack is None or self.source is None or self.setting is None:
            return digest("clean", self.target.slot, self.part.slot)
        attack = self.setting.without("zeta_of", "craft_on", "evaluate_on", "revision", "universal", "batch")
        parts = (self.part.slot, self.craft_on.slot if self.craft_on else None)
        return digest(self.target.slot, self.source.slot, self.attack.described, attack, parts)

    @cached_property
    def craft_id(self) -> str:
        """Equal for cells whose adversarial images come from one run of one attack against one source."""
        if self.attack is None or self.source is None or self.setting is None:
            return self.id
        return digest("craft", self.source.id, self.attack.family, self.setting.canonical)

    @cached_property
    def perturbation_id(self) -> str:
        """Under which the perturbation of a universal attack is kept: what it is added to plays no part."""
        assert self.source is not None
        assert self.root is not None
        return digest("perturbation", self.source.id, plain(self.root), self._crafting)

    @cached_property
    def universal_id(self) -> str:
        """Equal for all values of the cumulative field of one universal attack."""
        assert self.source is not None
        assert self.attack is not None
        return digest("perturb", self.source.id, self.attack.family, self._crafting)

    @property
    def _crafting(self) -> Fields:
        """What a universal perturbation rests on beside its attack and its source."""
        assert self.setting is not None
        return self.setting.without("evaluate_on", "stop", "batch")

    def probe_id(self, probe: Spec) -> str:
        """Under which what a probe measured of this cell is kept."""
        return digest("probe", self.id, probe.canonical, REVISIONS["probe"])

    @property
    def fields(self) -> Fields:
        """Everything its identity rests on, readable."""
        fields: Fields = {"target": self.target.fields, "evaluate_on": self.part.fields}
        if self.attack is None or self.source is None or self.setting is None:
            return fields
        return {
            **fields,
            "source": "target" if self.source.id == self.target.id else self.source.fields,
            "attack": self.attack.fields,
            **self.setting.without("evaluate_on"),
            "craft_on": self.craft_on.fields if self.craft_on else None,
        }

    @property
    def clean(self) -> Cell:
        """The clean record this cell is compared with."""
        return Cell(self.target, self.part)

    @property
    def clean_id(self) -> str:
        """Identity of the clean record."""
        return digest("clean", self.target.id, self.part.id)

    def axes(self) -> dict[str, str]:
        """What stands on each axis, without the aliases of one grid."""
        target, source = self.target, self.source
        transfer = source is not None and source.id != target.id
        return {
            "dataset": target.train.dataset.name,
            "train_set": str(target.train.slice),
            "model": target.model_name,
            "defense": target.defense.name,
            "attack": self.attack.name if self.attack else "none",
            "goal": str(self.goal or ""),
            "budget": str(self.budget or ""),
            "precision": self.precision if self.attack else "",
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
    probes: tuple[Spec, ...] = ()
    """What is measured of the cell beyond its record."""

    def row(self) -> dict[str, str]:
        """Labels by axis and tags as `tags.NAME`."""
        return dict(zip(AXES, self.labels, strict=True)) | {f"tags.{k}": v for k, v in self.tags.items()}
