"""A computed cell as tests see it: labels, metrics and evidence as attributes that exist or raise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, overload

import numpy as np

from ..contracts import AXES
from ..errors import MedrobustError, did_you_mean
from ..grid.plan import Entry
from ..results.metrics import CONFIDENCE_BINS, METRICS, Metric
from ..results.record import Record
from .measured import Evidence, Measured

ALIASES: Final = {"robust_accuracy": "accuracy"}
"""Metrics under the name that tests use: the store's `accuracy` is that under attack."""


def metric_called(name: str) -> Metric:
    """The metric that a test means.

    Raises:
        MedrobustError: with the nearest name, if there is none.
    """
    if name in ALIASES:
        return METRICS[ALIASES[name]]
    if name not in METRICS:
        raise MedrobustError(f"no metric is called '{name}'{did_you_mean(name, [*ALIASES, *METRICS])}")
    return METRICS[name]


class _Scalar:
    """A metric as an attribute."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, cell: None, owner: type) -> _Scalar: ...
    @overload
    def __get__(self, cell: RobustCell, owner: type) -> Measured: ...
    def __get__(self, cell: RobustCell | None, owner: type) -> Measured | _Scalar:
        return self if cell is None else cell.measured(self.name)[0]


class _Entries:
    """A metric with a value for each class or confidence bin as an attribute; a matrix row after row."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, cell: None, owner: type) -> _Entries: ...
    @overload
    def __get__(self, cell: RobustCell, owner: type) -> Sequence[Measured]: ...
    def __get__(self, cell: RobustCell | None, owner: type) -> Sequence[Measured] | _Entries:
        return self if cell is None else cell.measured(self.name)


@dataclass(frozen=True, repr=False, eq=False)
class RobustCell:
    """One cell of a grid with its record.

    Attributes:
        id: its identity in the store.
        name: as the ids of tests call it.
        dataset, ..., seed: its labels, as the grid has them.
        class_names: of the data set, in index order.
        record: the logits of every image.
        evidence: on the numbers of its model under its norm; of a clean record, under any.
    """

    id: str
    name: str
    dataset: str
    train_set: str
    model: str
    defense: str
    attack: str
    goal: str
    budget: str
    precision: str
    surrogate: str
    craft_on: str
    evaluate_on: str
    detector: str
    seed: str
    class_names: tuple[str, ...]
    record: Record
    evidence: Evidence

    robust_accuracy = _Scalar()
    accuracy = _Scalar()
    clean_accuracy = _Scalar()
    accuracy_within = _Entries()
    label_accuracy = _Scalar()
    accuracy_on_clean_correct = _Scalar()
    balanced_accuracy = _Scalar()
    balanced_accuracy_on_clean_correct = _Scalar()
    sensitivity = _Scalar()
    specificity = _Scalar()
    sensitivity_per_class = _Entries()
    specificity_per_class = _Entries()
    auc = _Scalar()
    auc_ovr = _Scalar()
    mean_auc = _Scalar()
    relative_auc = _Scalar()
    asr = _Scalar()
    asr_all = _Scalar()
    asr_by_confidence = _Entries()
    fooling_rate = _Scalar()
    targeted_success = _Scalar()
    targeted_baseline = _Scalar()
    confusion_matrix = _Entries()
    confusion_matrix_by_prediction = _Entries()
    predicted_share = _Entries()
    detection_auc = _Scalar()
    detection_auc_at_success = _Scalar()
    false_alarms = _Scalar()
    undetected_success = _Scalar()
    scored_asr = _Scalar()
    images = _Scalar()
    classes = _Scalar()
    mean_l0 = _Scalar()
    mean_l1 = _Scalar()
    mean_l2 = _Scalar()
    mean_linf = _Scalar()

    @classmethod
    def of(cls, entry: Entry, name: str, record: Record, evidence: Evidence) -> RobustCell:
        """The cell of an entry of a plan."""
        assert entry.cell is not None
        labels = dict(zip(AXES, entry.labels, strict=True))
        names = entry.cell.target.info.classes
        return cls(id=entry.cell.id, name=name, class_names=names, record=record, evidence=evidence, **labels)

    def measured(self, name: str) -> tuple[Measured, ...]:
        """A metric, by name: one value, or one for each of its entries.

        Raises:
            MedrobustError: for an unknown name, or a robust accuracy where nothing was attacked.
        """
        wanted = metric_called(name)
        if name in ALIASES and self.attack == "none":
            raise MedrobustError(f"{self.name}: nothing was attacked here; ask for clean_accuracy")
        found = wanted(self.record)
        if not isinstance(found.value, np.ndarray):
            return (Measured(name, found),)
        return tuple(Measured(f"{name}({self._entries(wanted, index)})", value) for index, value in found.entries())

    def _entries(self, wanted: Metric, index: tuple[int, ...]) -> str:
        return ", ".join(self._entry(wanted.name, axis, i) for axis, i in zip(wanted.axis, index, strict=True))

    def _entry(self, wanted: str, axis: str, index: int) -> str:
        if axis == "class":
            return self.class_names[index]
        if wanted != "asr_by_confidence":
            return str(index)
        return f"{CONFIDENCE_BINS[index]:.2f} to {CONFIDENCE_BINS[index + 1]:.2f}"

    def __repr__(self) -> str:
        return f"<cell {self.name}>"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            known = [f.name for f in fields(RobustCell)] + [n for n in vars(RobustCell) if not n.startswith("_")]
            raise AttributeError(f"a cell has no attribute '{name}'{did_you_mean(name, known)}")
