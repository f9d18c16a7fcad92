"""What marks a number: evidence that speaks against it, and a target that is too poor when clean to say anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from medrobust.api import Store

from .profiles import Floor
from .selection import Numbers, Selected


def doubts(evidence: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """What a number of a model under attacks of one norm must say, by identity of the model and norm."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in evidence:
        if row["outcome"] == "flagged":
            found.setdefault((row["target"], row["norm"]), []).append(row["check"])
    return {key: f"! evidence speaks against it: {', '.join(checks)}" for key, checks in found.items()}


def subject(selected: Selected) -> tuple[str, str]:
    """The model and norm that evidence on an entry is about."""
    cell = selected.entry.cell
    return (cell.target.id, cell.budget.norm) if cell is not None and cell.budget is not None else ("", "")


def below(floor: Floor | None, rows: Sequence[Selected], store: Store) -> dict[str, str]:
    """Cells whose target is below a floor on the same images when clean, with what it reaches in words.

    A target without a clean number is not below: what is missing is told where it is missing.
    """
    if floor is None:
        return {}
    clean = {s.entry.cell.id: s.entry.cell.clean_id for s in rows if s.entry.cell is not None}
    numbers = Numbers(store, ((identity, floor.metric) for identity in dict.fromkeys(clean.values())))
    found = {}
    for cell, identity in clean.items():
        value = numbers.get(identity, floor.metric)
        if value is not None and value.scalar is not None and value.scalar < floor.least:
            found[cell] = f"the target's clean {floor.metric} of {value.scalar:.2f} is below {floor.least:.2f}"
    return found


def flag(reasons: Sequence[str], cells: int) -> str:
    """What a number says of the poor targets behind it; empty if there are none."""
    if not reasons:
        return ""
    distinct = "; ".join(dict.fromkeys(reasons))
    share = "" if len(reasons) == cells else f" (in {len(reasons)} of {cells} cells)"
    return f"! decides no claim: {distinct}{share}"
