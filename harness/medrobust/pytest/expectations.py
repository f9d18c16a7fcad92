"""Expectations: what the `[[expect]]` tables of a `*.robust.toml` file ask of which cells."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Literal

from ..contracts import AXES
from ..errors import GridError, MedrobustError
from ..grid.plan import Entry
from ..grid.values import known_keys, list_of, table_of
from ..results.metrics import Metric
from .cell import metric_called
from .regression import MINIMUM, higher_is_better

_KEYS: Final = ("bounds", "no_regression", "minimum_effect")
_BOUND: Final = re.compile(r"\s*(?P<metric>\w+)\s*(?:\((?P<entry>.+)\))?\s*(?P<sign>>=|<=)\s*(?P<number>\S+)\s*")
_CLEAN: Final = ("clean_accuracy", "targeted_baseline")
"""Metrics of the clean record, which is one cell for each model."""


@dataclass(frozen=True)
class Bound:
    """A metric may not lie on the wrong side of a number; its interval decides, on the side that matters.

    Attributes:
        metric: its name.
        sign: `>=` asks that of the lower end, `<=` of the upper.
        number: the bound.
        entry: of a metric with a value for each class, the class; every one if empty.
    """

    metric: str
    sign: Literal[">=", "<="]
    number: float
    entry: str = ""

    def __str__(self) -> str:
        return f"{self.metric}{f'({self.entry})' if self.entry else ''}{self.sign}{self.number:g}"

    @property
    def claims_robustness(self) -> bool:
        """Whether it holds the better the more robust a model is."""
        return metric_called(self.metric).higher_is_robust is (self.sign == ">=")


@dataclass(frozen=True)
class NoRegression:
    """A metric may not be worse than in the baseline.

    Attributes:
        metric: its name.
        minimum: the smallest change, in the metric's unit, that counts.
    """

    metric: str
    minimum: float = MINIMUM

    def __str__(self) -> str:
        return f"{self.metric}:no_regression"

    @property
    def claims_robustness(self) -> bool:
        """As of a bound."""
        return metric_called(self.metric).higher_is_robust is not None


Expectation = Bound | NoRegression


@dataclass(frozen=True)
class Expected:
    """One `[[expect]]` table: expectations and the cells that they are of.

    Attributes:
        where: the table, for messages.
        patterns: by axis, the labels that are meant; as in `exclude` of a grid.
        expectations: what is asked of each.
    """

    where: str
    patterns: Mapping[str, tuple[str, ...]]
    expectations: tuple[Expectation, ...]

    def of(self, entry: Entry) -> Iterator[Expectation]:
        """What is asked of one combination of the grid."""
        labels = dict(zip(AXES, entry.labels, strict=True))
        if all(_any(labels[axis], patterns) for axis, patterns in self.patterns.items()):
            yield from (e for e in self.expectations if _applies(metric_called(e.metric), e.metric, labels))


def read_expectations(path: Path) -> list[Expected]:
    """The `[[expect]]` tables of a file whose grid has been read.

    Raises:
        GridError: naming file, key, what was expected and the nearest valid name.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8")).get("expect", [])
    if not isinstance(tables, list) or not tables:
        raise GridError(f'{path}: no [[expect]] table; write one, such as bounds = ["robust_accuracy >= 0.5"]')
    return [_table(raw, f"{path}: expect[{index}]") for index, raw in enumerate(tables)]


def _table(raw: Any, where: str) -> Expected:
    table = table_of(raw, where)
    known_keys(table, (*_KEYS, *AXES), where)
    minimum = table.get("minimum_effect", MINIMUM)
    if isinstance(minimum, bool) or not isinstance(minimum, int | float) or minimum < 0:
        raise GridError(f"{where}.minimum_effect: expected a number, at least 0, got {minimum!r}")
    expectations: list[Expectation] = [_bound(text, f"{where}.bounds") for text in list_of(table.get("bounds", []))]
    for name in list_of(table.get("no_regression", [])):
        place = f"{where}.no_regression"
        found = _metric(name, place)
        if found.axis or higher_is_better(found) is None:
            raise GridError(f"{place}: '{name}' is not better or worse; give a bound, or another metric")
        expectations.append(NoRegression(name, float(minimum)))
    if not expectations:
        raise GridError(f"{where}: nothing is expected; write bounds or no_regression")
    patterns = {axis: tuple(str(p).removeprefix("@") for p in list_of(table[axis])) for axis in AXES if axis in table}
    return Expected(where, patterns, tuple(expectations))


def _bound(text: Any, where: str) -> Bound:
    match = _BOUND.fullmatch(text) if isinstance(text, str) else None
    try:
        number = float(match["number"]) if match else None
    except ValueError:
        number = None
    if match is None or number is None:
        raise GridError(f"{where}: expected text such as 'robust_accuracy >= 0.5' or 'asr <= 0.2', got {text!r}")
    found = _metric(match["metric"], where)
    if match["entry"] and found.axis != ("class",):
        raise GridError(f"{where}: '{match['metric']}' has no value for each class, so leave ({match['entry']}) out")
    sign: Literal[">=", "<="] = ">=" if match["sign"] == ">=" else "<="
    return Bound(match["metric"], sign, number, (match["entry"] or "").strip())


def _metric(name: Any, where: str) -> Metric:
    try:
        return metric_called(str(name))
    except MedrobustError as error:
        raise GridError(f"{where}: {error}") from None


def _any(label: str, patterns: tuple[str, ...]) -> bool:
    return any(label == pattern or fnmatchcase(label, pattern) for pattern in patterns)


def _applies(metric: Metric, name: str, labels: Mapping[str, str]) -> bool:
    """Metrics of clean images are asked of the clean record, all others where there is an attack."""
    return (name in _CLEAN) is (labels["attack"] == "none") and metric.scored is bool(labels["detector"])
