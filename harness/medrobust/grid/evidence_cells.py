"""The few inexpensive cells that the evidence checks need in addition to those of a grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from ..contracts import (
    Attack,
    BudgetSpec,
    DerivedAttack,
    IterativeAttack,
    Length,
    Norm,
    Plugin,
    cumulative_field,
)
from ..errors import PluginError
from ..plugins.registry import Registry
from ..plugins.specs import build
from .blocks import Block, Choice, GoalSpec, Grid, SurrogatePatch

TAG = "evidence"
"""Tag of the added entries; tables leave them out."""

LARGE: dict[Norm, Length] = {"linf": Length.parse("0.5"), "l2": Length.parse("zeta=50%")}
"""Radii at which any image can be made to look like any other, so that no model can keep its accuracy."""


def is_large(budget: BudgetSpec) -> bool:
    """Whether a budget is the very large one of its norm."""
    large = LARGE.get(budget.norm)
    return large is not None and budget.eps is not None and budget.eps.canonical == large.canonical


_KEPT = frozenset({"dataset", "train_set", "model", "defense", "evaluate_on", "seed"})
"""Axes that the added cells share with their block; what a block excludes by these alone stays excluded."""

_UNTARGETED = Choice(GoalSpec("untargeted"), "untargeted")


def with_evidence(grid: Grid, registry: Registry) -> Grid:
    """The grid with a radius of zero, a very large one, and noise of every radius, for one attack of each block."""
    covered: set[tuple[object, ...]] = set()
    extra = [e for block in grid.blocks for e in _extra(block, registry, covered)]
    return replace(grid, blocks=(*grid.blocks, *extra))


def _extra(block: Block, registry: Registry, covered: set[tuple[object, ...]]) -> Iterator[Block]:
    """Blocks to add for one; what is in `covered` (models and norm, and noise with its radius) is there already."""
    common = {
        **block.axes,
        "surrogate": (Choice(SurrogatePatch(), "target"),),
        "goal": _goals(block),
        "detector": (),
    }
    exclude = tuple(pattern for pattern in block.exclude if pattern.keys() <= _KEPT)
    plain = replace(block, probes=(), tags={**block.tags, TAG: "yes"}, exclude=exclude, stop="full")
    noise = _noise(registry)
    for norm, radius in LARGE.items():
        budgets = tuple(c for c in block.axes["budget"] if c.value.norm == norm and c.value.eps is not None)
        attacks = [c for c in block.axes["attack"] if _fits(c.value.plugin, norm)]
        if not budgets or not attacks:
            continue
        zero, large = (_budget(BudgetSpec(norm, eps)) for eps in (Length(Fraction(0), text="0"), radius))
        # With few steps an attack cannot cross a large ball, which would look like masking.
        chosen = max(attacks, key=_strength)
        shared = sorted(_KEPT | {"precision"})
        models = (norm, repr(exclude), *(tuple(c.label for c in block.axes[axis]) for axis in shared))
        if models not in covered:
            covered.add(models)
            yield replace(plain, axes={**common, "attack": (chosen,), "budget": (zero, large)})
        fresh = tuple(c for c in (*budgets, large) if (*models, c.value.canonical) not in covered)
        if noise is not None and fresh:
            # Noise pursues no goal: one block's serves the next.
            covered.update((*models, c.value.canonical) for c in fresh)
            yield replace(plain, axes={**common, "attack": (noise,), "budget": fresh, "goal": (_noise_goal(block),)})


def _goals(block: Block) -> tuple[Choice, ...]:
    """The first goal that asks for no target class: the checks speak of robust accuracy."""
    return next(((c,) for c in block.axes["goal"] if not c.value.targeted), (_UNTARGETED,))


def _noise_goal(block: Block) -> Choice:
    """A goal under which noise can run: where no goal asks for labels there may be none."""
    kinds = {c.value.kind for c in block.axes["goal"]}
    return _goals(block)[0] if "untargeted" not in kinds else _UNTARGETED


def _noise(registry: Registry) -> Choice | None:
    try:
        noise = build(registry.find("attack", "noise"), {}, registry)
    except PluginError:
        return None
    return Choice(noise, noise.label)


def _fits(plugin: Plugin, norm: Norm) -> bool:
    """Whether an attack is crafted per image, sees the model, and keeps a radius in this norm."""
    if not isinstance(plugin, Attack) or isinstance(plugin, DerivedAttack) or plugin.threat.knowledge == "none":
        return False
    return norm in plugin.threat.norms and "untargeted" in plugin.threat.goals


def _strength(choice: Choice) -> tuple[bool, int]:
    """Gradients first: thousands of queries would be no cheap cell. Then iterations."""
    plugin = choice.value.plugin
    field = cumulative_field(plugin) if isinstance(plugin, IterativeAttack) else None
    return plugin.threat.knowledge == "white-box", int(getattr(plugin, field)) if field else 1


def _budget(budget: BudgetSpec) -> Choice:
    return Choice(budget, str(budget))
