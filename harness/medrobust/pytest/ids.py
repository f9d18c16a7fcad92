"""Readable ids of cells: `cxr::resnet50::pgd[linf:1/255]`.

pytest reads ids as NAME::NAME[PARAMETERS], and writes them so again in summaries and reports. Brackets come last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ..contracts import AXES
from ..grid.evidence_cells import TAG
from ..grid.plan import Entry

_NAMED: Final = ("dataset", "model", "defense", "attack", "budget")
"""Axes that every id has; the others are told where they vary."""
_PLAIN: Final = str.maketrans("[]", "()")


def asked_for(entries: Sequence[Entry]) -> Iterator[tuple[int, Entry]]:
    """The combinations that a grid itself asks for, with their places: not what evidence adds or what is excluded."""
    return ((i, e) for i, e in enumerate(entries) if TAG not in e.tags and not e.excluded)


def names_of(entries: Sequence[Entry]) -> dict[int, str]:
    """The id of each combination that a grid asks for, by its place; a cell that is named twice has one."""
    kept: dict[int, Mapping[str, str]] = {}
    seen: set[str] = set()
    for index, entry in asked_for(entries):
        if entry.cell is not None and entry.cell.id in seen:
            continue
        seen |= {entry.cell.id} if entry.cell is not None else set()
        kept[index] = dict(zip(AXES, entry.labels, strict=True))
    varying = [
        axis
        for axis in AXES
        if axis not in _NAMED and len({labels[axis] for labels in kept.values() if labels["attack"] != "none"}) > 1
    ]
    if len({labels["seed"] for labels in kept.values()}) > 1:
        varying = list(dict.fromkeys([*varying, "seed"]))
    names: dict[int, str] = {}
    count: Counter[str] = Counter()
    for index, labels in kept.items():
        name = _name(labels, varying)
        count[name] += 1
        names[index] = name if count[name] == 1 else _numbered(name, count[name])
    return names


def _numbered(name: str, number: int) -> str:
    """The id of a further cell with the same labels, which differs in what is no label."""
    base, bracket, parameters = name.partition("[")
    return f"{base}#{number}{bracket}{parameters}"


def _name(labels: Mapping[str, str], varying: Sequence[str]) -> str:
    defense = "" if labels["defense"] == "none" else f"+{labels['defense']}"
    details = [labels["budget"], *(f"{axis}={labels[axis]}" for axis in varying if labels[axis])]
    told = ",".join(filter(None, details))
    named = (labels["dataset"], f"{labels['model']}{defense}", labels["attack"])
    return "::".join(part.translate(_PLAIN).replace("::", ":") for part in named) + (f"[{told}]" if told else "")


def with_expectation(name: str, expectation: object) -> str:
    """The id of an expectation of a cell: `cxr::resnet50::pgd::robust_accuracy>=0.6[linf:1/255]`."""
    base, bracket, parameters = name.partition("[")
    return f"{base}::{expectation}{bracket}{parameters}"


def parts(name: str) -> list[str]:
    """The parts of an id, as pytest looks for them one below the other; the last has the parameters."""
    base, bracket, parameters = name.partition("[")
    *above, last = base.split("::")
    return [*above, last + bracket + parameters]
