"""What `claims.toml` may say: a paper's findings as bounds, comparisons and trends over selected cells.

A selection is a table of labels by axis (`*` and `?` are wildcards), or a list of such tables of which one must match.
Metrics with an axis add it to the grid's: `class` (its name) or `bin` (lower edge of the confidence bin, "0.95").
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from medrobust import MedrobustError
from medrobust.api import AXES, did_you_mean, metric

from ..labels import Where, tables
from ..specs import told

Quantifier = Literal["all", "most", "average"]

LEVEL: Final = 0.05
"""Level of every test; intervals are 95 % intervals."""

_AXES: Final = (*AXES, "eps", "class", "bin")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What every claim says.

    Attributes:
        id: short name.
        text: the finding in our own words.
        section: where the paper says it.
        metric: what is measured, by its name.
        where: the cells it is about.
        quantifier: `all` or `most` of the members (cells, pairs or series), or their `average`.
        reading: how a sentence that leaves room was read, or where the paper's own numbers depart from it.
    """

    id: str
    text: str
    section: str
    metric: str
    where: Where = field(default_factory=dict)
    quantifier: Quantifier = "all"
    reading: str = ""
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    @property
    def metrics(self) -> dict[str, str]:
        """The metrics by the key that names them."""
        return {"metric": self.metric}

    def selections(self) -> dict[str, Where]:
        """The selections by key."""
        return {"where": self.where}

    def axes(self) -> dict[str, list[str]]:
        """Other axes it names, by key."""
        return {}

    def check(self) -> str:
        """What is wrong beyond a single key; empty if nothing."""
        return ""


@dataclass(frozen=True, kw_only=True)
class BoundClaim(Claim):
    """A metric is at most, or at least, a number; each selected cell is a member."""

    at_most: float | None = None
    at_least: float | None = None

    def check(self) -> str:
        if (self.at_most is None) == (self.at_least is None):
            return "at_most: give either at_most or at_least"
        return ""


@dataclass(frozen=True, kw_only=True)
class ComparisonClaim(Claim):
    """A metric of `left` cells against that of `right` cells; each pair equal on `pair_on` (and seed) is a member.

    Attributes:
        left, right: what sets the sides apart, beyond `where`.
        pair_on: axes on which both sides of a pair agree.
        direction: `greater`: left > factor * right + margin; `less`: left < factor * right - margin;
            `equal`: left within margin of factor * right.
        right_metric: the metric of the right side, if another.
        change_from: compare the change of the metric from these labels instead of the metric itself.
    """

    left: Where
    right: Where
    pair_on: list[str]
    direction: Literal["greater", "less", "equal"]
    margin: float = 0.0
    factor: float = 1.0
    right_metric: str = ""
    change_from: dict[str, str] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, str]:
        return {"metric": self.metric} | ({"right_metric": self.right_metric} if self.right_metric else {})

    def selections(self) -> dict[str, Where]:
        return {"where": self.where, "left": self.left, "right": self.right, "change_from": dict(self.change_from)}

    def axes(self) -> dict[str, list[str]]:
        return {"pair_on": self.pair_on}

    def check(self) -> str:
        if self.margin < 0:
            return "margin: must not be negative; turn the direction round"
        if self.factor <= 0:
            return "factor: must be positive"
        if self.direction == "equal" and self.margin == 0:
            return "margin: 'equal' needs the difference that still counts as equal"
        return ""


@dataclass(frozen=True, kw_only=True)
class TrendClaim(Claim):
    """A metric rises or falls along an axis; each series of cells equal on `pair_on` is a member.

    The last cell must differ from the first in the direction, and no step may go significantly against it.

    Attributes:
        along: the axis; `eps` is ordered by number.
        order: its labels in order; needed for every axis but `eps`.
        pair_on: axes on which the cells of a series agree.
    """

    along: str
    direction: Literal["increasing", "decreasing"]
    pair_on: list[str]
    order: list[str] = field(default_factory=list)

    def selections(self) -> dict[str, Where]:
        return {"where": self.where, "order": {self.along: self.order}}

    def axes(self) -> dict[str, list[str]]:
        return {"along": [self.along], "pair_on": self.pair_on}

    def check(self) -> str:
        if self.along != "eps" and len(self.order) < 2:
            return f"order: '{self.along}' has no order of its own; list two labels or more"
        return ""


KINDS: Final[Mapping[str, type[Claim]]] = {"bound": BoundClaim, "comparison": ComparisonClaim, "trend": TrendClaim}


def read_claims(folder: Path) -> tuple[Claim, ...]:
    """The claims of a paper's folder; none where it has no `claims.toml`. Needs no other file of the paper.

    Raises:
        MedrobustError: naming file, claim, key and the nearest valid name.
    """
    file = folder / "claims.toml"
    if not file.exists():
        return ()
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise MedrobustError(f"{file}: {error}") from None
    if extra := set(content) - {"claim"}:
        raise MedrobustError(f"{file}: unknown table '{min(extra)}'; every claim is a [[claim]]")
    claims = tuple(_claim(raw, f"{file}: claim {n}") for n, raw in enumerate(content.get("claim", []), 1))
    for n, claim in enumerate(claims):
        if claim.id in {other.id for other in claims[:n]}:
            raise MedrobustError(f"{file}: claim {n + 1}: id: '{claim.id}' is taken")
    return claims


def _claim(raw: Mapping[str, Any], where: str) -> Claim:
    table = dict(raw)
    where = f"{where} ({table['id']})" if "id" in table else where
    kind = table.pop("kind", None)
    if kind not in KINDS:
        raise MedrobustError(f"{where}: kind: expected {' or '.join(KINDS)}, got {kind!r}")
    known = [f.name for f in fields(KINDS[kind])]
    if extra := [key for key in table if key not in known]:
        raise MedrobustError(f"{where}: {extra[0]}: a {kind} has no such key{did_you_mean(extra[0], known)}")
    try:
        claim: Claim = TypeAdapter(KINDS[kind]).validate_python(table)
    except ValidationError as error:
        raise MedrobustError(f"{where}: {told(error)}") from None
    _check_names(claim, where)
    if problem := claim.check():
        raise MedrobustError(f"{where}: {problem}")
    return claim


def _check_names(claim: Claim, where: str) -> None:
    for key in ("id", "text", "section"):
        if not getattr(claim, key).strip():
            raise MedrobustError(f"{where}: {key}: is empty")
    for key, name in claim.metrics.items():
        try:
            found = metric(name)
        except MedrobustError as error:
            raise MedrobustError(f"{where}: {key}: {error}") from None
        if len(found.axis) > 1:
            raise MedrobustError(f"{where}: {key}: '{name}' is a matrix; claims take scalars and one axis")
    named = {key: [axis for table in tables(chosen) for axis in table] for key, chosen in claim.selections().items()}
    for key, axes in (claim.axes() | named).items():
        for axis in axes:
            if axis not in _AXES and not axis.startswith("tags."):
                raise MedrobustError(f"{where}: {key}: no axis is called '{axis}'{did_you_mean(axis, _AXES)}")
