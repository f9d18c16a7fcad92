"""Choosing cells by what they are called: `attack=pgd*,dataset=phantom-cxr`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from ..contracts import AXES
from ..errors import MedrobustError, did_you_mean
from .inventory import Inventory
from .store import Store

Patterns = dict[str, list[str]]
"""Patterns by axis: any of those of one axis, of every axis."""

# Labels may have commas and equals signs in brackets, as in pgd(steps=5, step_size=0.01): only an axis begins a part.
_PART = re.compile(r"(?:^|,)\s*(?P<axis>[a-z_]+)\s*=(?![^(]*\))")


def parse_where(texts: Iterable[str]) -> Patterns:
    """Patterns by axis from texts such as `attack=pgd*,dataset=phantom-cxr`; an axis named twice has either.

    Raises:
        MedrobustError: for what is no axis, or has no label.
    """
    found: Patterns = {}
    for text in texts:
        parts = list(_PART.finditer(text))
        if not parts or parts[0].start() != 0:
            raise MedrobustError(f"--where {text}: write AXIS=LABEL, such as attack=pgd*,dataset=phantom-cxr")
        ends = [part.start() for part in parts[1:]] + [len(text)]
        for part, end in zip(parts, ends, strict=True):
            axis, label = part["axis"], text[part.end() : end].strip()
            if axis not in AXES:
                raise MedrobustError(
                    f"--where {text}: '{axis}' is not an axis{did_you_mean(axis, AXES)}; axes are {', '.join(AXES)}"
                )
            if not label:
                raise MedrobustError(f"--where {text}: '{axis}=' needs a label; * and ? are wildcards")
            found.setdefault(axis, []).append(label)
    return found


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
