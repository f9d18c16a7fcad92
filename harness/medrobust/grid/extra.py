"""The few cheap cells that the evidence checks need beside those of a grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from ..contracts import Attack, BudgetSpec, DerivedAttack, IterativeAttack, Length, cumulative_field
from ..errors import PluginError
from ..plugins.registry import Registry
from ..plugins.specs import build
from .reader import Block, Choice, Grid, SurrogatePatch

TAG = "evidence"
"""Tag of the added entries; tables leave them out."""

LARGE = {"linf": Length.parse("0.5"), "l2": Length.parse("zeta=50%")}
"""Radii at which any image can be turned into any other for the eye, so that no honest model keeps its accuracy."""


def with_evidence(grid: Grid, registry: Registry) -> Grid:
    """The grid with a radius of zero, a very large one, and noise of every radius, for one attack of each block."""
    return replace(grid, blocks=(*grid.blocks, *(extra for b in grid.blocks for extra in _extra(b, registry))))


def _extra(block: Block, registry: Registry) -> Iterator[Block]:
    attacks = [c for c in block.axes["attack"] if isinstance(c.value.plugin, Attack)]
    attacks = [c for c in attacks if not isinstance(c.value.plugin, DerivedAttack) and _sees_model(c)]
    if not attacks:
        return
    # With few steps an attack cannot cross a large ball, which would look like masking.
    chosen = max(attacks, key=_iterations)
    budgets = [c for c in block.axes["budget"] if c.value.eps is not None]
    norms = [n for n in LARGE if any(c.value.norm == n for c in budgets)]
    zero = [_budget(BudgetSpec(n, Length(Fraction(0), text="0"))) for n in norms]  # type: ignore[arg-type]
    large = [_budget(BudgetSpec(n, LARGE[n])) for n in norms]  # type: ignore[arg-type]
    goal, target = block.axes["goal"][:1], (Choice(SurrogatePatch(), "target"),)
    common = {**block.axes, "surrogate": target, "goal": goal, "detector": ()}
    plain = replace(block, probes=(), tags={**block.tags, TAG: "yes"}, exclude=(), stop="full")
    yield replace(plain, axes={**common, "attack": (chosen,), "budget": (*zero, *large)})
    try:
        noise = build(registry.find("attack", "noise"), {}, registry)
    except PluginError:
        return
    yield replace(plain, axes={**common, "attack": (Choice(noise, noise.label),), "budget": (*budgets, *large)})


def _sees_model(choice: Choice) -> bool:
    return bool(choice.value.plugin.threat.knowledge != "none")


def _iterations(choice: Choice) -> int:
    plugin = choice.value.plugin
    field = cumulative_field(plugin) if isinstance(plugin, IterativeAttack) else None
    return int(getattr(plugin, field)) if field else 1


def _budget(budget: BudgetSpec) -> Choice:
    return Choice(budget, str(budget))
