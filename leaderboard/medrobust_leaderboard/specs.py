"""What a paper's folder says, as data: `paper.toml`, `tables.toml`, `figures.toml`, `reference/*.csv`."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from medrobust import GridError, MedrobustError, did_you_mean

from .table import Key, Unit

FORBID = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Rule:
    """Which metric stands under a label, for the cells that `where` matches; the first rule that matches counts."""

    metric: str
    label: str = ""
    where: dict[str, str | list[str]] = field(default_factory=dict)
    __pydantic_config__: ClassVar[ConfigDict] = FORBID


@dataclass(frozen=True)
class Selection:
    """Cells of a plan: by axis, the labels wanted, in the order in which they are shown."""

    where: dict[str, str | list[str]] = field(default_factory=dict)

    def wanted(self, axis: str) -> list[str] | None:
        """The labels of one axis, or None for all."""
        labels = self.where.get(axis)
        return [labels] if isinstance(labels, str) else labels


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """A table of a paper.

    Attributes:
        rows, columns: axes of the grid, `tags.NAME`, or `value` for the label of a rule.
        value: the rules that say which metric is shown.
        where: the labels wanted by axis, which also orders them.
        mean_over: axes over which a cell is a mean.
        bracket: rule for a number in brackets: a metric, and axis values that replace the cell's own.
        names: how labels are shown, by axis.
        reference: CSV of the paper's values; its key columns are the rows and columns, its labels the grid's.
        tolerance: largest difference that counts as reproduced where there is no interval.
    """

    id: str
    title: str
    rows: list[str]
    columns: list[str]
    value: list[Rule]
    caption: str = ""
    where: dict[str, str | list[str]] = field(default_factory=dict)
    mean_over: list[str] = field(default_factory=list)
    bracket: dict[str, Any] | None = None
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    reference: str = ""
    unit: Unit = "percent"
    decimals: int = 1
    tolerance: float = 0.01
    notes: list[str] = field(default_factory=list)
    __pydantic_config__: ClassVar[ConfigDict] = FORBID


@dataclass(frozen=True, kw_only=True)
class FigureSpec:
    """A figure of a paper.

    Attributes:
        kind: what is drawn.
        panels, series: axes; x: an axis, or `eps` for the radius in grey levels of 255.
    """

    id: str
    title: str
    kind: Literal["curves"]
    panels: str
    series: str
    x: str
    value: list[Rule]
    x_label: str
    y_label: str
    x_scale: Literal["linear", "log", "even"] = "linear"
    caption: str = ""
    where: dict[str, str | list[str]] = field(default_factory=dict)
    mean_over: list[str] = field(default_factory=list)
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    columns: int = 3
    __pydantic_config__: ClassVar[ConfigDict] = FORBID


@dataclass(frozen=True)
class Substitution:
    """Data or a model that stands for the paper's: every number that rests on it is marked.

    Attributes:
        axis: axis of the grid.
        label: label on that axis; `*` for all.
        paper: what the paper has.
        here: what stands for it.
        reason: why.
    """

    axis: str
    label: str
    paper: str
    here: str
    reason: str = ""
    __pydantic_config__: ClassVar[ConfigDict] = FORBID


@dataclass(frozen=True)
class Profile:
    """One way of running a paper's grid."""

    description: str
    substitutions: list[Substitution] = field(default_factory=list)
    __pydantic_config__: ClassVar[ConfigDict] = FORBID


@dataclass(frozen=True)
class PaperFacts:
    """Who, what, where; and the profiles."""

    title: str
    citation: str
    question: str
    profiles: dict[str, Profile]
    departures: list[str] = field(default_factory=list)
    __pydantic_config__: ClassVar[ConfigDict] = FORBID


@dataclass(frozen=True)
class Paper:
    """Everything a paper's folder says."""

    folder: Path
    facts: PaperFacts
    tables: tuple[TableSpec, ...]
    figures: tuple[FigureSpec, ...]

    @property
    def name(self) -> str:
        return self.folder.name

    def profile(self, name: str) -> Profile:
        """A profile by name.

        Raises:
            GridError: with the nearest valid name.
        """
        if name not in self.facts.profiles:
            raise GridError(f"{self.name} has no profile '{name}'{did_you_mean(name, self.facts.profiles)}")
        return self.facts.profiles[name]

    def reference(self, spec: TableSpec) -> dict[tuple[Key, Key], tuple[float, float | None]]:
        """The paper's values by (row key, column key): value and number in brackets, as fractions.

        Raises:
            MedrobustError: if a column is missing or a value is no number.
        """
        if not spec.reference:
            return {}
        file = self.folder / "reference" / spec.reference
        scale = 100.0 if spec.unit == "percent" else 1.0
        found = {}
        with file.open(encoding="utf-8", newline="") as stream:
            for number, row in enumerate(csv.DictReader(stream), 2):
                try:
                    key = tuple(row[a] for a in spec.rows), tuple(row[a] for a in spec.columns)
                    bracket = float(row["bracket"]) / scale if row.get("bracket") else None
                    found[key] = (float(row["reference"]) / scale, bracket)
                except (KeyError, ValueError) as error:
                    raise MedrobustError(f"{file}:{number}: {type(error).__name__}: {error}") from None
        return found


def read_paper(folder: Path) -> Paper:
    """Read a paper's folder.

    Raises:
        MedrobustError: naming file and key.
    """
    facts = _validated(PaperFacts, _toml(folder / "paper.toml"), folder / "paper.toml")
    tables = _toml(folder / "tables.toml").get("table", [])
    figures = _toml(folder / "figures.toml").get("figure", []) if (folder / "figures.toml").exists() else []
    return Paper(
        folder,
        facts,
        tuple(_validated(TableSpec, t, folder / "tables.toml") for t in tables),
        tuple(_validated(FigureSpec, f, folder / "figures.toml") for f in figures),
    )


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise MedrobustError(f"{file}: {error}") from None


def _validated(kind: type[Any], content: Mapping[str, Any], file: Path) -> Any:
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise MedrobustError(f"{file}: {content.get('id', '')} {place}: {first['msg']}") from None
