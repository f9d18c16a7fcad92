"""What a table or figure asks for: its metrics, its unit, and the labels by which it finds counterparts."""

from __future__ import annotations

from medrobust.api import metric

from .figure_specs import BarsSpec, ConfusionSpec, CurvesSpec, FigureSpec
from .labels import Row, matches
from .specs import TableSpec
from .table import COUNTS, BracketStyle, Unit


def metrics_of(spec: TableSpec | FigureSpec) -> list[str]:
    """The metrics that a table or figure shows; none of what probes measured."""
    if isinstance(spec, TableSpec | CurvesSpec | BarsSpec):
        return [rule.metric for rule in spec.value if rule.metric not in COUNTS]
    return [spec.metric] if isinstance(spec, ConfusionSpec) else []


def metrics_for(spec: TableSpec | CurvesSpec | BarsSpec, row: Row, *, counterpart: bool) -> set[str]:
    """The metrics of an entry; a counterpart has those of the entry it is compared with, by that entry's rule."""
    rules = [rule for rule in spec.value if rule.metric not in COUNTS]
    named = {rule.metric for rule in rules if counterpart or matches(row, rule.where)}
    return named | {spec.bracket.metric} - {""} if isinstance(spec, TableSpec) and spec.bracket else named


def unit_of(spec: TableSpec) -> Unit:
    """The unit that a table says, else that of its metrics: rates in percent, lengths as such."""
    units = {metric(rule.metric).unit for rule in spec.value if rule.metric not in COUNTS}
    own: tuple[Unit, ...] = ("pixel range", "count")
    if spec.unit is not None:
        return spec.unit
    return next((unit for unit in own if units == {unit}), "percent")


def bracket_style(spec: TableSpec) -> BracketStyle | None:
    """How the numbers in brackets of a table are shown."""
    if spec.bracket is None:
        return None
    decimals = spec.decimals if spec.bracket.decimals is None else spec.bracket.decimals
    return BracketStyle(spec.bracket.label, spec.bracket.unit or unit_of(spec), decimals)


def replacements(spec: TableSpec | CurvesSpec | BarsSpec) -> list[dict[str, str]]:
    """The cells' own labels, and those that replace them for a bracket or a control."""
    if isinstance(spec, TableSpec):
        return [{}, spec.bracket.replace] if spec.bracket else [{}]
    return [{}, spec.control] if isinstance(spec, BarsSpec) and spec.control else [{}]
