"""The checks of the evidence as a page tells them: what several of them say alike is said once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..page import OUTCOMES
from .contents import Evidence

NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class Told:
    """Checks with one outcome and the same words on it.

    Attributes:
        names: of the checks.
        where: the norm, and the seeds if not all of them say so.
        outcome, detail, advice: as in the evidence.
        tone: of the outcome.
        count: how many checks these are.
    """

    names: tuple[str, ...]
    where: str
    outcome: str
    detail: str
    advice: str
    tone: str
    count: int


def told(evidence: Iterable[Evidence]) -> list[Told]:
    """Checks in their order: those of several seeds together, and those that lack the same thing together."""
    evidence = list(evidence)
    seeds = sorted({_seed(each) for each in evidence})
    groups: dict[tuple[str, ...], list[Evidence]] = {}
    for each in evidence:
        name = "" if each["outcome"] == NOT_CHECKED else str(each["check"])
        words = (str(each[key] or "") for key in ("outcome", "norm", "detail", "advice"))
        groups.setdefault((name, *words), []).append(each)
    return [_told(members, seeds) for members in groups.values()]


def _told(members: Sequence[Evidence], seeds: Sequence[str]) -> Told:
    first = members[0]
    own = sorted({_seed(each) for each in members})
    words = f"seed{'s' if len(own) > 1 else ''} {', '.join(own)}" if own != list(seeds) else ""
    return Told(
        names=tuple(dict.fromkeys(str(each["check"]) for each in members)),
        where=", ".join(word for word in (str(first["norm"] or ""), words) if word),
        outcome=str(first["outcome"]),
        detail=str(first["detail"] or ""),
        advice=str(first["advice"] or ""),
        tone=OUTCOMES.get(str(first["outcome"]), "unsure"),
        count=len(members),
    )


def _seed(evidence: Evidence) -> str:
    return str(evidence.get("seed") or "")
