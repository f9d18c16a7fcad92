"""What a paper's folder says, as data: `paper.toml`, `tables.toml`, `figures.toml`, `reference/*.csv`."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from medrobust import GridError, MedrobustError
from medrobust.api import did_you_mean

from .figure_specs import AnyFigure, FigureSpec
from .profiles import FORBID, Profile
from .table import COUNTS, Key, Unit
from .views import Bracket, Rule, View


@dataclass(frozen=True, kw_only=True)
class TableSpec(View):
    """A table of a paper.

    Attributes:
        rows, columns: axes of the grid, `tags.NAME`, `value` for the label of a rule, or `class` or `bin` for the
            entries of a metric that has them.
        value: the rules that say which metric is shown.
        bracket: the number in brackets, if there is one.
        reference: CSV of the paper's values; its key columns are the rows and columns, its labels the grid's.
        unit: how numbers are shown and written in the reference; if not given, as the metrics are.
        tolerance: largest difference that counts as reproduced where there is no interval.
    """

    rows: list[str]
    columns: list[str]
    value: list[Rule]
    bracket: Bracket | None = None
    reference: str = ""
    unit: Unit | None = None
    decimals: int = 1
    tolerance: float = 0.01
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PaperFacts:
    """Who, what, where; and the profiles. A folder of one's own can do without a `paper.toml`."""

    title: str
    citation: str = ""
    question: str = ""
    profiles: dict[str, Profile] = field(default_factory=dict)
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

    @property
    def grid(self) -> Path:
        """The grid that the tables select from."""
        return self.folder / "grid.toml"

    def profile_name(self, asked: str) -> str:
        """The profile that is meant where `asked` may be empty: `smoke`, else the only one, else none."""
        if asked or not self.facts.profiles:
            return asked
        return "smoke" if "smoke" in self.facts.profiles else next(iter(self.facts.profiles))

    def profile(self, name: str) -> Profile:
        """A profile by name; without any profiles, every name means the grid's own.

        Raises:
            GridError: with the nearest valid name.
        """
        if not self.facts.profiles:
            return Profile(description="")
        if name not in self.facts.profiles:
            raise GridError(f"{self.name} has no profile '{name}'{did_you_mean(name, self.facts.profiles)}")
        return self.facts.profiles[name]

    def reference(self, spec: TableSpec) -> dict[tuple[Key, Key], tuple[float, float | None]]:
        """The paper's values by (row key, column key): value and number in brackets, as fractions or counts.

        Raises:
            MedrobustError: if a column is missing or a value is not a number.
        """
        if not spec.reference:
            return {}
        file = self.folder / "reference" / spec.reference
        counted = {rule.label for rule in spec.value if rule.metric in COUNTS}
        scale = _scale(spec.unit)
        beside = _scale(spec.bracket.unit) if spec.bracket and spec.bracket.unit else scale
        found = {}
        with file.open(encoding="utf-8", newline="") as stream:
            for number, row in enumerate(csv.DictReader(stream), 2):
                own = 1.0 if row.get("value") in counted else scale
                try:
                    key = tuple(row[a] for a in spec.rows), tuple(row[a] for a in spec.columns)
                    bracket = float(row["bracket"]) / beside if row.get("bracket") else None
                    found[key] = (float(row["reference"]) / own, bracket)
                except (KeyError, ValueError) as error:
                    raise MedrobustError(f"{file}:{number}: {type(error).__name__}: {error}") from None
        return found


def read_paper(folder: Path) -> Paper:
    """Read a paper's folder.

    Raises:
        MedrobustError: naming file and key.
    """
    about = _toml(folder / "paper.toml") if (folder / "paper.toml").exists() else {"title": folder.name}
    facts = _validated(PaperFacts, about, folder / "paper.toml")
    for name, profile in facts.profiles.items():
        profile.check(f"{folder / 'paper.toml'}: profile {name}")
    tables = _toml(folder / "tables.toml").get("table", [])
    figures = _toml(folder / "figures.toml").get("figure", []) if (folder / "figures.toml").exists() else []
    return Paper(
        folder,
        facts,
        tuple(_validated(TableSpec, t, folder / "tables.toml") for t in tables),
        tuple(_validated(AnyFigure, f, folder / "figures.toml") for f in figures),
    )


def _scale(unit: Unit | None) -> float:
    """What a number of a reference file is divided by to be on the scale of records."""
    return 100.0 if unit in (None, "percent") else 1.0


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise MedrobustError(f"{file}: {error}") from None


def _validated(kind: Any, content: Mapping[str, Any], file: Path) -> Any:
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        raise MedrobustError(f"{file}: {content.get('id', '')} {told(error)}") from None


def told(error: ValidationError) -> str:
    """What is wrong: every key that lacks, so that they can be written at once, or else the first fault."""
    faults = error.errors(include_url=False)
    lacking = [str(fault["loc"][-1]) for fault in faults if fault["type"] in ("missing", "missing_argument")]
    if lacking:
        return f"lacks {', '.join(lacking)}"
    return f"{'.'.join(map(str, faults[0]['loc']))}: {faults[0]['msg']}"
