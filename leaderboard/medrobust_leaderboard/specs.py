"""What a paper's folder says, as data: `paper.toml`, `tables.toml`, `figures.toml`, `reference/*.csv`."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from medrobust import GridError, MedrobustError
from medrobust.api import did_you_mean

from .labels import Labels, Where
from .profiles import FORBID, Profile
from .table import COUNTS, Key, Unit


@dataclass(frozen=True)
class Rule:
    """What is shown under a label, for the cells that `where` matches; the first rule that matches counts.

    Attributes:
        metric: a metric, or in a table one of `COUNTS`.
        entry: of what has a number for each class, which of them, from 1; smaller data sets have no number there.
    """

    metric: str
    label: str = ""
    where: Labels = field(default_factory=dict)
    entry: Annotated[int, Field(ge=1)] | None = None
    __pydantic_config__: ClassVar[ConfigDict] = FORBID


@dataclass(frozen=True)
class Bracket:
    """The number in brackets beside a cell's own, such as that of a random control.

    Attributes:
        metric: what is shown; the cell's own metric if not given.
        replace: axis values that replace the cell's own (`with` in the file).
        label: what the number is, as the legend says it.
        unit, decimals: how it is shown, and written in the reference; as the table's own numbers if not given.
    """

    metric: str = ""
    replace: Annotated[dict[str, str], Field(alias="with")] = field(default_factory=dict)
    label: str = "the control's"
    unit: Unit | None = None
    decimals: int | None = None
    __pydantic_config__: ClassVar[ConfigDict] = FORBID


@dataclass(frozen=True, kw_only=True)
class View:
    """What tables and figures have in common: which cells they show, and under what names.

    Attributes:
        where: the labels wanted by axis, which also orders them; several tables of labels add up.
        mean_over: axes over which a number is a mean.
        names: how labels are shown, by axis.
    """

    id: str
    title: str
    caption: str = ""
    where: Where = field(default_factory=dict)
    mean_over: list[str] = field(default_factory=list)
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    __pydantic_config__: ClassVar[ConfigDict] = FORBID

    def shown(self, axis: str, label: str) -> str:
        """A label as readers see it."""
        return self.names.get(axis, {}).get(label, label)


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


@dataclass(frozen=True, kw_only=True)
class CurvesSpec(View):
    """Curves over a radius, a number of steps or of iterations.

    Attributes:
        panels, series: axes, or `value` for the label of a rule; several make a combined label.
        x: `eps` (in grey levels of 255), `eps_share` (of the range of a pixel), `zeta` (in percent), or a cumulative
            field such as `defense.iterations`; the cells without attack (or defense) are at 0. Or `confidence`, the
            middle of the bins of a metric that has them, or `train_images`, the number of images trained on.
        value: the rules that say which metric is shown.
        origin: the value at 0 where the metric has it by definition, such as 1 for the images correct when clean.
        counts: whether the number of images behind each point is written at the lower edge, for panels of one series.
        control: labels of the series that are controls, drawn dashed in the colour of the series that they differ from
            in these labels alone.
    """

    kind: Literal["curves"]
    panels: list[str]
    series: list[str]
    x: str
    value: list[Rule]
    x_label: str
    y_label: str
    x_scale: Literal["linear", "log", "even"] = "linear"
    origin: float | None = None
    counts: bool = False
    control: dict[str, str] = field(default_factory=dict)
    columns: int = 3


@dataclass(frozen=True, kw_only=True)
class BarsSpec(View):
    """Grouped bars; `control` replaces labels of a bar's cell to give the dashed line across it."""

    kind: Literal["bars"]
    panels: list[str]
    groups: list[str]
    series: list[str]
    value: list[Rule]
    y_label: str
    control: dict[str, str] = field(default_factory=dict)
    control_label: str = "random control"
    columns: int = 3


@dataclass(frozen=True, kw_only=True)
class ConfusionSpec(View):
    """Confusion matrices, a panel for each combination of labels; `metric` says what the rows are."""

    kind: Literal["confusion"]
    panels: list[str]
    metric: Literal["confusion_matrix", "confusion_matrix_by_prediction"] = "confusion_matrix"
    columns: int = 3


@dataclass(frozen=True, kw_only=True)
class ImagesSpec(View):
    """Images: the perturbation, scaled to be seen, and examples with the decision on each.

    Attributes:
        rows, columns: axes whose labels make the rows and the columns.
        show: what is shown at each place, from left to right.
        examples: examples at each place, below each other, of different classes; needs the probe `examples`.
        broken: show only examples that are decided correctly when clean and wrongly under attack.
        per_line: rows side by side in one line, each below its name.
        clean_once: show the clean image in the first column alone; every column of a row has the same one.
    """

    kind: Literal["images"]
    rows: list[str]
    columns: list[str] = field(default_factory=list)
    show: list[Literal["clean", "perturbation", "adversarial"]] = field(
        default_factory=lambda: ["clean", "perturbation", "adversarial"]
    )
    examples: int = 1
    broken: bool = False
    per_line: Annotated[int, Field(ge=1)] = 1
    clean_once: bool = False


FigureSpec = CurvesSpec | BarsSpec | ConfusionSpec | ImagesSpec
AnyFigure = Annotated[FigureSpec, Field(discriminator="kind")]


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
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise MedrobustError(f"{file}: {content.get('id', '')} {place}: {first['msg']}") from None
