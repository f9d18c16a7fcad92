"""Cells: one result each, with its identity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ..contracts import AnyAttack, BudgetSpec, DerivedAttack, Precision, batch_of, cumulative_field
from ..plugins.specs import Spec, plain
from .blocks import DetectorSpec, GoalSpec, Stop
from .identity import REVISIONS, Fields, digest
from .parts import Part
from .settings import Setting
from .targets import Target


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
    def surrogate(self) -> Target | None:
        """The model that is attacked in the target's place; None in a white-box setting."""
        return None if self.source is None or self.source.id == self.target.id else self.source

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
        attack, setting = self.attack.canonical, self.setting.canonical
        # Cells without a detector have the identity that they had before there were any.
        detector = [self.detector.fields, REVISIONS["detect"]] if self.detector else None
        return digest(self.target.id, self.source.id, attack, setting, detector, None)

    @cached_property
    def slot(self) -> str:
        """Equal for cells that a grid describes alike, whatever code and files stand behind the words.

        Of the cells in one slot, the one that was asked for last supersedes the others.
        """
        if self.attack is None or self.source is None or self.setting is None:
            return digest("clean", self.target.slot, self.part.slot)
        attack = self.setting.without("zeta_of", "craft_on", "evaluate_on", "revision", "universal", "batch")
        parts = (self.part.slot, self.craft_on.slot if self.craft_on else None)
        detector = (self.detector.described,) if self.detector else ()
        return digest(self.target.slot, self.source.slot, self.attack.described, attack, parts, *detector)

    @cached_property
    def craft_id(self) -> str:
        """Equal for cells whose adversarial images come from one run of one attack against one source."""
        if self.attack is None or self.source is None or self.setting is None:
            return self.id
        return digest("craft", self.source.id, self.attack.family, self.setting.canonical)

    @cached_property
    def detect_id(self) -> str:
        """Equal for cells with a detector whose features are taken from one model of the same images."""
        assert self.source is not None
        assert self.setting is not None
        return digest("detect", self.target.id, self.source.id, self.setting.without("batch"))

    @property
    def undetected(self) -> Cell:
        """The same cell without its detector."""
        return replace(self, detector=None)

    @property
    def learned_from(self) -> Cell:
        """The cell whose adversarial images its detector learns from."""
        assert self.detector is not None
        assert self.setting is not None
        spec = self.detector.source
        if spec is None:
            return self.undetected
        assert isinstance(spec.plugin, AnyAttack)
        return replace(self.undetected, attack=spec, setting=replace(self.setting, batch=batch_of(spec.plugin)))

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

    @property
    def detector_id(self) -> str:
        """Under which what its detector has learned is kept."""
        return digest("detector", self.id)

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
            "source": self.source.fields if self.surrogate else "target",
            "attack": self.attack.fields,
            **self.setting.without("evaluate_on"),
            "craft_on": self.craft_on.fields if self.craft_on else None,
            **({"detector": {**self.detector.fields, "revision": REVISIONS["detect"]}} if self.detector else {}),
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
        trained = self.target.axes()
        return {
            **{axis: trained[axis] for axis in ("dataset", "train_set", "model", "defense")},
            "attack": self.attack.name if self.attack else "none",
            "goal": str(self.goal or ""),
            "budget": str(self.budget or ""),
            "precision": self.precision if self.attack else "",
            "surrogate": self.surrogate.name if self.surrogate else "",
            "craft_on": str(self.craft_on.slice) if self.craft_on else "",
            "evaluate_on": str(self.part.slice),
            "detector": self.detector.name if self.detector else "",
            "seed": trained["seed"],
        }

    def describe(self) -> str:
        """For progress and messages."""
        if self.attack is None or self.source is None:
            return f"clean, {self.target.describe()}"
        transfer = f" crafted on {self.surrogate.describe()}" if self.surrogate else ""
        detected = f" detected by {self.detector.name}" if self.detector else ""
        return f"{self.attack.label} {self.budget} {self.goal}{detected}, {self.target.describe()}{transfer}"
