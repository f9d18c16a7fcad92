"""The attack that several cells share a run of."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ...contracts import AnyAttack, cumulative_field
from ...grid.cells import Cell


def root_of(cells: Sequence[Cell]) -> AnyAttack | None:
    """The attack that makes these cells, which share its run, at the largest cumulative value among them."""
    root = cells[0].root
    if root is not None and (name := cumulative_field(root)):
        root = at_value(root, name, max(c.cumulative_value or 0 for c in cells))
    return root


def at_value(attack: AnyAttack, field: str, value: int) -> AnyAttack:
    """The same attack at another value of its cumulative field."""
    return dataclasses.replace(attack, **{field: value})  # type: ignore[type-var]
