"""What an attack is to a grid: the axes that mean nothing to it, and what it cannot be combined with."""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property
from typing import Final

from ..contracts import (
    AnyAttack,
    BudgetSpec,
    DataInfo,
    DerivedAttack,
    DetectorAttack,
    Length,
    Precision,
    UniversalAttack,
    batch_of,
    batch_sizes,
    parts_of,
)
from ..contracts.budget import beyond_pixels
from ..plugins.builtin import NoAttack
from ..plugins.specs import Spec
from .blocks import DetectorSpec, GoalSpec, Stop
from .parts import Part
from .targets import Target

OF_ATTACKS: Final = frozenset({"goal", "budget", "precision", "surrogate", "craft_on", "detector"})
"""Axes that mean nothing to the clean record."""


def _too_wide(budget: BudgetSpec, info: DataInfo) -> str:
    """Why no image of a data set can be as far from another one as a budget allows; empty if one can."""
    if budget.norm == "linf" or budget.eps is None or budget.eps.unit != "pixel01":
        return ""
    values = info.channels * info.size[0] * info.size[1]
    widest = math.sqrt(values) if budget.norm == "l2" else values
    if budget.eps.value <= widest:
        return ""
    size = f"{info.size[0]}x{info.size[1]} pixels and {info.channels} channel{'s' if info.channels > 1 else ''}"
    return f"the radius of '{budget}' is larger than any {budget.norm} distance of images of {size}, {widest:.4g}"


def _too_long(attack: AnyAttack) -> str:
    """Which step of an attack is longer than the range of a pixel; empty if none is."""
    for field in dataclasses.fields(attack):  # type: ignore[arg-type]
        value = getattr(attack, field.name)
        if isinstance(value, Length) and (wrong := beyond_pixels(value)):
            return f"has {field.name} = {value}, which {wrong}"
    return ""


def bars_detector(detector: DetectorSpec | None, attack: AttackGate, part: Part, target: Target, stop: Stop) -> str:
    """Why a detector cannot judge an attack on the images of a part, or an attack needs one; empty if it can."""
    knowing = next((each for each in parts_of(attack.plugin) if isinstance(each, DetectorAttack)), None)
    if detector is None:
        if knowing is not None:
            return f"attack '{knowing.title}' is for a detector: name one, such as detector = 'dfeat'"
        return ""
    if target.info.task != "multiclass":
        return "detectors are for multiclass tasks: they look at images that are classified correctly"
    if target.stochastic:
        return "a detector needs equal features of equal images, which a random model does not give"
    if (part.dataset.canonical, target.info.classes) != (target.train.dataset.canonical, target.info.classes):
        return "detectors judge images of the target's own data set, whose labels say what is classified correctly"
    if stop != "full":
        return "a detector judges images at full strength; write stop = 'full'"
    if detector.fit_on.split != part.slice.split:
        return (
            f"fit_on = '{detector.fit_on}': a detector learns from a slice of the images evaluated on, such as "
            f"'{part.slice.split}[:80%]'"
        )
    if knowing is not None and knowing is not attack.plugin:
        return f"attack '{knowing.title}' cannot be part of another one"
    if detector.source is None:
        if knowing is not None:
            return f"attack '{knowing.title}' comes after the detector: name another attack as its source"
        return ""
    learned = detector.source.plugin
    if isinstance(learned, DetectorAttack):
        return f"a detector cannot learn from attack '{learned.title}', which needs one"
    if AttackGate(detector.source).universal:
        return "a detector learns from an attack on each image, or from the attack that it faces (source = 'same')"
    return ""


class AttackGate:
    """One choice of the attack axis; every question is answered once."""

    def __init__(self, spec: Spec) -> None:
        assert isinstance(spec.plugin, AnyAttack)
        self.spec = spec
        self.plugin: AnyAttack = spec.plugin
        self.clean = isinstance(self.plugin, NoAttack)
        self.batch = batch_of(self.plugin)

    @cached_property
    def universal(self) -> bool:
        """Whether it is crafted on images of its own, below everything derived from it."""
        plugin = self.plugin
        while isinstance(plugin, DerivedAttack):
            plugin = plugin.of
        return isinstance(plugin, UniversalAttack)

    @cached_property
    def silent(self) -> frozenset[str]:
        """Axes that mean nothing to it: they have no label and multiply nothing."""
        if self.clean:
            return OF_ATTACKS
        return frozenset() if self.universal else frozenset({"craft_on"})

    def bars(self, goal: GoalSpec, budget: BudgetSpec, info: DataInfo) -> str:
        """Why it cannot run with a goal and a budget on a data set; empty if it can."""
        if goal.targeted and goal.target not in info.classes:
            return f"the data set has no class '{goal.target}'"
        if reason := _too_wide(budget, info):
            return reason
        for part in parts_of(self.plugin):
            reason = part.threat.excludes(
                norm=budget.norm, targeted=goal.targeted, task=info.task, minimal=budget.minimal
            ) or (_too_long(part) if budget.norm == "linf" else "")
            reason = reason or part.unsuited(budget, info)
            if reason:
                return f"attack '{part.title}' {reason}"
        if len(sizes := batch_sizes(self.plugin)) > 1:
            asked = " and ".join(map(str, sorted(sizes)))
            return f"attack '{self.plugin.title}' combines attacks that need batches of {asked} images"
        return ""

    def bars_stop(self, stop: Stop, target: Target, budget: BudgetSpec) -> str:
        """Why images that are broken may not leave its batch; empty if they may."""
        if stop == "full":
            return ""
        if budget.minimal:
            return f"'{budget}' looks for the smallest perturbation, which stop = 'success' would cut short"
        if self.batch is not None:
            return f"attack '{self.plugin.title}' depends on its batch, which stop = 'success' changes"
        if target.stochastic:
            return "a random model needs stop = 'full': one wrong draw does not make an image broken"
        return ""

    def bars_precision(self, precision: Precision) -> str:
        """Why it cannot be crafted in a precision; empty if it can."""
        if precision == "mixed" and self.universal:
            return f"attack '{self.plugin.title}' is universal; precision = 'mixed' is for attacks on each image"
        return ""
