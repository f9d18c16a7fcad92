"""What a site says of one record: its metrics, and how each class was decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from medrobust import predictions
from medrobust.api import Record, Value, measure, metric

METRICS: Final[Mapping[str, str]] = {
    "accuracy": "accuracy under attack",
    "clean_accuracy": "accuracy without attack",
    "asr": "attack success rate",
    "fooling_rate": "fooling rate",
    "targeted_success": "targeted success rate",
    "mean_l2": "mean l2 norm",
    "mean_linf": "mean l∞ norm",
    "detection_auc": "detection AUC",
    "false_alarms": "false alarms at 95 % detection",
    "undetected_success": "success without an alarm, at 5 % of false alarms",
    "scored_asr": "attack success rate",
}
"""The metrics of a cell's page, with what they are called there."""
CLEAN: Final = ("clean_accuracy",)
"""Those that say something without an attack."""
DETECTION: Final = ("detection_auc", "false_alarms", "undetected_success", "scored_asr")
"""Those of a cell with a detector, which has no others."""
MOST_CLASSES: Final = 20


@dataclass(frozen=True)
class CellNumbers:
    """The numbers of one record.

    Attributes:
        values: by metric, in the order of `METRICS`; those without a meaning here are left out.
        decided: for each true class how many of its images were decided as each class; None where it is not defined.
        images: how many there are; patients: how many they come from, None where unknown.
    """

    values: Mapping[str, Value]
    decided: tuple[tuple[int, ...], ...] | None
    images: int
    patients: int | None


def numbers_of(record: Record, *, clean: bool) -> CellNumbers:
    """The numbers of a record; `clean` says that it has no attack."""
    names: Iterable[str] = (name for name in METRICS if name not in DETECTION)
    if record.scores is not None:
        names = DETECTION
    elif clean:
        names = CLEAN
    elif not _targeted(record):
        names = (name for name in names if name != "targeted_success")
    values = {name: measure(name, record) for name in names}
    return CellNumbers(
        values={name: value for name, value in values.items() if value.defined or value.reason},
        decided=_decided(record),
        images=len(record),
        patients=None if record.groups is None else len(np.unique(record.groups)),
    )


def show_value(value: Value, name: str) -> tuple[str, str]:
    """A value and its interval as a reader sees them: percent for rates, plain lengths for norms."""
    number = value.scalar
    if number is None:
        return "–", ""
    if metric(name).unit == "pixel range":
        return f"{number:.4g}", "" if value.interval is None else "[{:.4g}, {:.4g}]".format(*value.interval)
    if metric(name).unit == "count":
        return f"{number:.0f}", ""
    ends = "" if value.interval is None else "[{:.1f}, {:.1f}]".format(*(100 * end for end in value.interval))
    return f"{100 * number:.1f} %", ends


def _targeted(record: Record) -> bool:
    return record.target is not None


def _decided(record: Record) -> tuple[tuple[int, ...], ...] | None:
    classes = max(record.adversarial.shape[1], 2)
    if record.task != "multiclass" or record.labels is None or classes > MOST_CLASSES:
        return None
    if not np.isfinite(record.adversarial).all():
        return None
    if not np.isfinite(record.adversarial).all():
        return None
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (record.labels.astype(np.int64), predictions(record.adversarial)), 1)
    return tuple(tuple(int(n) for n in row) for row in counts)
