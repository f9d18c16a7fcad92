"""The few inexpensive cells that the evidence checks need in addition to those of a grid."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

from ..contracts import (
    Attack,
    BudgetSpec,
    DerivedAttack,
    DetectorAttack,
    IterativeAttack,
    Length,
    Norm,
    Plugin,
    batch_of,
    cumulative_field,
)
from ..errors import PluginError
from ..plugins.registry import Registry
from ..plugins.specs import Spec, build
from .blocks import Block, Choice, GoalSpec, Grid, Stop, SurrogatePatch

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
    """The grid with a radius of zero, a very large one, and noise of every radius, for each model and norm.

    They cost little: one step at zero, and at the large radius images that are broken leave the batch, as all do but
    those of a model whose gradients mislead.
    """
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
    plain = replace(block, axes=common, probes=(), tags={**block.tags, TAG: "yes"}, exclude=exclude, stop="full")
    noise = _noise(registry)
    for norm, radius in LARGE.items():
        budgets = tuple(c for c in block.axes["budget"] if c.value.norm == norm and c.value.eps is not None)
        attacks = [c for c in block.axes["attack"] if _fits(c.value.plugin, norm)]
        if not budgets or not attacks:
            continue
        shared = sorted(_KEPT | {"precision"})
        models = (norm, repr(exclude), *(tuple(c.label for c in block.axes[axis]) for axis in shared))
        if models not in covered:
            covered.add(models)
            yield _with(plain, _gentlest(attacks, registry), BudgetSpec(norm, Length(Fraction(0), text="0")))
            # With few steps an attack cannot cross a large ball, which would look like masking.
            yield from _until_broken(_with(plain, max(attacks, key=_strength), BudgetSpec(norm, radius)))
        large = Choice(BudgetSpec(norm, radius), str(BudgetSpec(norm, radius)))
        fresh = tuple(c for c in (*budgets, large) if (*models, c.value.canonical) not in covered)
        if noise is not None and fresh:
            # Noise pursues no goal: one block's serves the next.
            covered.update((*models, c.value.canonical) for c in fresh)
            axes = {**common, "attack": (noise,), "budget": fresh, "goal": (_noise_goal(block),)}
            yield replace(plain, axes=axes)


def _with(block: Block, attack: Choice, budget: BudgetSpec) -> Block:
    return replace(block, axes={**block.axes, "attack": (attack,), "budget": (Choice(budget, str(budget)),)})


def _until_broken(block: Block) -> Iterator[Block]:
    """A block whose images may leave once they are broken, where that is possible: not those of random models."""
    if batch_of(block.axes["attack"][0].value.plugin) is not None:
        yield block
        return
    (steady, random), (kept, drawn) = (_by_randomness(block.axes[axis]) for axis in ("model", "defense"))
    kinds: list[tuple[tuple[Choice, ...], tuple[Choice, ...], Stop]] = [
        (steady, kept, "success"),
        (random, kept, "full"),
        (block.axes["model"], drawn, "full"),
    ]
    for models, defenses, stop in kinds:
        if models and defenses:
            yield replace(block, axes={**block.axes, "model": models, "defense": defenses}, stop=stop)


def _by_randomness(choices: Iterable[Choice]) -> tuple[tuple[Choice, ...], tuple[Choice, ...]]:
    """Those whose logits are the same in every pass, and the others."""
    listed = tuple(choices)
    random = tuple(c for c in listed if c.value.plugin.stochastic)
    return tuple(c for c in listed if c not in random), random


def _gentlest(attacks: Iterable[Choice], registry: Registry) -> Choice:
    """The attack that costs least, cut to one step where its steps are cumulative."""
    cut = [_one_step(choice, registry) for choice in attacks]
    return min(cut, key=lambda c: (not _sees(c.value.plugin), _passes(c.value.plugin)))


def _one_step(choice: Choice, registry: Registry) -> Choice:
    spec: Spec = choice.value
    field = cumulative_field(spec.plugin)
    if field is None:
        return choice
    single = Spec.of(spec.offer, dataclasses.replace(spec.plugin, **{field: 1}), registry)  # type: ignore[type-var]
    return Choice(single, single.label)


def _passes(attack: Attack) -> float:
    cost = attack.cost(1, 2)
    return cost.forward + 3 * cost.gradient


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
    if not isinstance(plugin, Attack) or isinstance(plugin, DerivedAttack | DetectorAttack):
        return False
    if plugin.threat.knowledge == "none":
        return False
    return norm in plugin.threat.norms and "untargeted" in plugin.threat.goals


def _sees(attack: Attack) -> bool:
    """Gradients first: thousands of queries would be no inexpensive cell."""
    return attack.threat.knowledge == "white-box"


def _strength(choice: Choice) -> tuple[bool, int]:
    plugin = choice.value.plugin
    field = cumulative_field(plugin) if isinstance(plugin, IterativeAttack) else None
    return _sees(plugin), int(getattr(plugin, field)) if field else 1
