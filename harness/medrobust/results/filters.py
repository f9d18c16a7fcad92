"""Choosing cells by what they are called: `attack=pgd*,dataset=phantom-cxr`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from ..contracts import AXES
from ..errors import MedrobustError, did_you_mean
from .inventory import Inventory
from .store import Store

Patterns = Mapping[str, Sequence[str]]
"""Patterns by axis: any of those of one axis, of every axis."""


def parse_where(texts: Sequence[str]) -> Patterns:
    """The patterns of `--where` options: `axis=pattern` pairs with commas between them; `*` and `?` stand for letters.

    Raises:
        MedrobustError: if one is no such pair, or names no axis.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        for pair in _split(text):
            axis, equals, pattern = (part.strip() for part in pair.partition("="))
            if not equals or not pattern:
                raise MedrobustError(f"--where {text}: '{pair}' is no AXIS=PATTERN, such as attack=pgd*")
            if axis not in AXES:
                raise MedrobustError(f"--where {text}: no axis is called '{axis}'{did_you_mean(axis, AXES)}")
            found.setdefault(axis, []).append(pattern)
    return found


def _split(text: str) -> list[str]:
    """Pairs of a text; the commas within the parentheses of a name part nothing."""
    parts, start, depth = [], 0, 0
    for position, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def chosen(store: Store, where: Patterns) -> set[str]:
    """The current cells of a store, failed ones among them, that fit patterns by their labels or by their own names."""
    inventory = Inventory.of(store)
    cells = inventory.having("current", "failed")
    names: dict[str, list[Mapping[str, str]]] = {}
    for frame in (inventory.cells, inventory.rows):
        for row in frame[["cell", *AXES]].fillna("").astype(str).to_dict("records"):
            names.setdefault(row["cell"], []).append({axis: row[axis] for axis in AXES})
    return {
        cell
        for cell in cells
        if all(
            any(_fits(row[axis], pattern) for row in names.get(cell, ()) for pattern in patterns)
            for axis, patterns in where.items()
        )
    }


def _fits(name: str, pattern: str) -> bool:
    """Whether a name fits a pattern; brackets stand for themselves, as in `train[:50%]`."""
    return fnmatchcase(name, pattern.replace("[", "[[]"))
