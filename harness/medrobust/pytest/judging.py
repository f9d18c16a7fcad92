"""Whether an expectation holds, and if not, why."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import MedrobustError
from ..results.record import Record
from .cell import RobustCell, metric_called
from .expectations import Bound, NoRegression
from .measured import Evidence, Measured
from .regression import ALPHA, Change
from .telling import clean_errors, kept_images, lost_images, newly_wrong

Lines = list[tuple[str, str]]
"""What is wrong, first, and then by name what belongs to it."""


def bound_problem(cell: RobustCell, bound: Bound) -> Lines:
    """Why a bound does not hold; nothing if it does.

    Raises:
        MedrobustError: if the metric has no value for that class, or needs an attack.
    """
    found = cell.measured(bound.metric)
    if bound.entry:
        found = tuple(each for each in found if each.metric == f"{bound.metric}({bound.entry})")
        if not found:
            raise MedrobustError(f"no class is called '{bound.entry}'; the classes are {', '.join(cell.class_names)}")
    against = against_numbers(cell.evidence) if bound.claims_robustness else []
    wrong = [(each, text) for each in found if (text := _outside(each, bound))]
    if against and not wrong:
        return [("", f"{bound} holds, but the evidence speaks against it: {against[0][1]}"), *against[1:]]
    if not wrong:
        return []
    (first, why), *others = wrong
    return [
        ("", f"{bound} does not hold: {first.metric} = {first}"),
        ("why", why),
        *(("and", f"{each.metric} = {each}: {text}") for each, text in others),
        *against,
        ("images", _images(cell, bound)),
    ]


def _outside(found: Measured, bound: Bound) -> str:
    """Why a number is not on the right side; empty if it is."""
    if not found.found.defined:
        return "there is no number to compare"
    lower = bound.sign == ">="
    side, asked = ("lower", "at least") if lower else ("upper", "at most")
    if metric_called(bound.metric).unit == "count" and found.found.interval is None:
        side, value = "number", found.value
    elif found.found.interval is None:
        return "there is no interval, which a bound is about"
    else:
        value = found.lower if lower else found.upper
    if value >= bound.number if lower else value <= bound.number:
        return ""
    what = "the number" if side == "number" else f"the {side} end of the interval"
    return f"{what}, {value:.4g}, should be {asked} {bound.number:g}"


def _images(cell: RobustCell, bound: Bound) -> str:
    if cell.attack == "none":
        return clean_errors(cell.record)
    if not bound.claims_robustness:
        return kept_images(cell.record)
    return lost_images(cell.record) or clean_errors(cell.record)


def regression_problem(cell: RobustCell, expectation: NoRegression, found: Change, before: Record | None) -> Lines:
    """Why a number counts as worse than in the baseline, or cannot be compared; nothing if it is not worse.

    Args:
        cell, expectation: what is judged.
        found: the change.
        before: the record of the baseline, if the change is an alarm.
    """
    against = against_numbers(cell.evidence) if expectation.claims_robustness else []
    name = expectation.metric
    if found.p is None:
        return [("", f"{name} cannot be compared with the baseline: {found.reason}"), *against]
    if before is None and against:
        return [("", f"{name} is not worse, but the evidence speaks against it: {against[0][1]}"), *against[1:]]
    if before is None:
        return []
    interval = "" if found.low is None else f", 95 % interval [{found.low:.3f}, {found.high:.3f}]"
    return [
        ("", f"{name} is worse than in the baseline by {found.drop:.3f}{interval}"),
        ("now", str(cell.measured(name)[0])),
        ("baseline", str(Measured(name, metric_called(name)(before)))),
        ("test", f"{found.test}, one-sided p = {found.p:.2g} on {found.n} images, significant at {ALPHA:g} by Holm"),
        *against,
        ("images", newly_wrong(cell.record, before, clean=cell.attack == "none")),
    ]


def against_numbers(evidence: Evidence) -> Lines:
    """What the evidence says against the numbers of a model."""
    return [("evidence", text) for text in _flags(evidence)]


def _flags(evidence: Evidence) -> Iterator[str]:
    for check in evidence.flagged:
        yield f"{check.name}: {check.detail}. {check.advice}"
