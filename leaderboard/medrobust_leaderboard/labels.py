"""Labels of entries, and patterns that select by them: what tables, figures and claims share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

Row = Mapping[str, str]
"""The labels of an entry by axis, with tags, `eps`, `zeta` and cumulative fields."""
Labels = dict[str, str | list[str]]
"""By axis, the labels wanted; `*` and `?` are wildcards."""
Where = Labels | list[Labels]
"""Labels wanted; an entry that one of several tables matches is selected."""

CLEAN = "none"
"""The label of the attack that leaves images as they are."""


def is_clean(row: Row) -> bool:
    """Whether these are the labels of a clean record."""
    return row.get("attack") == CLEAN


def tables(where: Where) -> list[Labels]:
    """A selection as the list of its tables."""
    return where if isinstance(where, list) else [where]


def is_free(row: Row, axis: str) -> bool:
    """Whether an axis has no meaning for an entry, so that the entry matches every label of it.

    A clean record has no budget, and an attack per image is not crafted on a slice.
    """
    return row.get(axis, "") == "" and (axis == "craft_on" or is_clean(row))


def agrees(row: Row, axis: str, other: str) -> bool:
    """Whether a row matches this label of an axis."""
    return row.get(axis, "") == other or is_free(row, axis)


def agree(left: Row, right: Row, axes: Iterable[str]) -> bool:
    """Whether two rows have the same labels on some axes."""
    return all(agrees(left, a, right.get(a, "")) or agrees(right, a, left.get(a, "")) for a in axes)


def matches(row: Row, where: Mapping[str, str | list[str]] | Where) -> bool:
    """Whether labels match; what is free on an axis matches any label of it."""
    if isinstance(where, list):
        return any(matches(row, table) for table in where)
    for axis, wanted in where.items():
        patterns = [wanted] if isinstance(wanted, str) else wanted
        if is_free(row, axis):
            continue
        if not any(fnmatchcase(row.get(axis, ""), _literal(p)) for p in patterns):
            return False
    return True


def _literal(pattern: str) -> str:
    """A pattern in which brackets are literal, as labels contain them (`uap[steps=5]`)."""
    return pattern.replace("[", "[[]")


def ordered(axis: str, where: Where, found: Iterable[str]) -> list[str]:
    """The labels of an axis in the order of `where`, else in that of the grid.

    A label that is asked for by its full name and not found is kept: a place without cells is a missing one.
    """
    labels = [label for label in dict.fromkeys(found) if label != ""]
    wanted = [table.get(axis) for table in tables(where)]
    if any(w is None for w in wanted):
        return labels
    result: list[str] = []
    for pattern in (p for w in wanted for p in ([w] if isinstance(w, str) else w or [])):
        hits = [label for label in labels if matches({axis: label}, {axis: pattern})]
        result += hits or ([] if "*" in pattern else [pattern])
    return list(dict.fromkeys(result))
