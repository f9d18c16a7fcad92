"""Areas under the ROC curve: binary, one-vs-rest, over labels, relative to the clean one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..outcomes import class_count, class_names, labels, log_odds
from ..record import Record
from ..statistics.auc import Area, area, auc_value, half_width, newcombe
from ..statistics.rates import group_count
from ..statistics.value import Floats, Value, undefined


def auc(record: Record) -> Value:
    """Ranking AUC under attack of a two-class task: chance that a positive outranks a negative, ties counting half.

    The score is the logit difference of class 1 and class 0, or the single logit. wetstein2020, section 3. It is not
    what ma2020 (Table 2) prints as AUC; that is `balanced_accuracy`.
    """
    count = class_count(record)
    if record.task == "multilabel" and count > 1:
        return _undefined(record, f"{count} labels: see mean_auc")
    if record.task == "multiclass" and count > 2:
        return _undefined(record, f"{count} classes: see auc_ovr")
    (scores, positive), *_ = _problems(record, record.adversarial)
    return auc_value(scores, positive, record.groups)


def auc_ovr(record: Record) -> Value:
    """Mean over classes of the AUC under attack of each class against the rest (macro one-vs-rest).

    Scores are softmax probabilities; ranked by their log-odds, which do not saturate. Hand and Till (2001, Machine
    Learning 45:171) discuss the alternatives. Undefined where a class has no images.
    """
    ranked = [
        area(log_odds(record.adversarial, index), labels(record) == index, record.groups)
        for index in range(class_count(record))
    ]
    missing = [name for name, found in zip(class_names(len(ranked)), ranked, strict=True) if isinstance(found, str)]
    if missing:
        return _undefined(record, "no images, or all, are of " + ", ".join(missing))
    return _mean(record, [found for found in ranked if isinstance(found, Area)], "")


def mean_auc(record: Record) -> Value:
    """Mean over labels of the AUC under attack; for a two-class task its AUC (wetstein2020, section 3).

    Labels with one class only are left out; the note says how many.
    """
    if reason := _no_mean(record):
        return _undefined(record, reason)
    found, note = _areas(record, record.adversarial)
    return _mean(record, found, note) if found else _undefined(record, note)


def relative_auc(record: Record) -> Value:
    """`mean_auc` under attack over the clean one of the same target (wetstein2020, Tables 2 and 3).

    A table takes the mean of these ratios over models, not the ratio of the means. Interval by the delta method.
    """
    if reason := _no_mean(record):
        return _undefined(record, reason)
    attacked, note = _areas(record, record.adversarial)
    if not attacked:
        return _undefined(record, note)
    clean, _ = _areas(record, record.clean)
    above, below = _average(attacked), _average(clean)
    if below.auc == 0:
        return _undefined(record, "the clean AUC is 0")
    ratio, groups = above.auc / below.auc, group_count(record.groups)
    if np.array_equal(record.clean, record.adversarial):
        return Value(1.0, 1.0, 1.0, len(record), groups, note=note)
    if any(found.degenerate for found in attacked):
        low, high = _limits(attacked)
        return Value(ratio, low / below.auc, high / below.auc, len(record), groups, note=note)
    half = half_width((above.influence - ratio * below.influence) / below.auc, record.groups)
    if half is None:
        return Value(ratio, n=len(record), groups=groups, note=note or "no interval: all images belong to one group")
    return Value(ratio, max(0.0, ratio - half), ratio + half, len(record), groups, note=note)


def average_area(record: Record) -> Area:
    """The AUC under attack averaged over labels, with its influence; for records whose `mean_auc` is defined."""
    return _average(_areas(record, record.adversarial)[0])


def _undefined(record: Record, reason: str) -> Value:
    return undefined(reason, n=len(record), groups=group_count(record.groups))


def _no_mean(record: Record) -> str:
    count = class_count(record)
    return f"{count} classes: see auc_ovr" if record.task == "multiclass" and count > 2 else ""


def _problems(record: Record, logits: NDArray[np.float32]) -> list[tuple[Floats, NDArray[np.bool_]]]:
    """The binary ranking problems: scores and positives, one for each label or one for two classes."""
    truth = labels(record)
    if record.task == "multilabel":
        return [(logits[:, i].astype(np.float64), truth[:, i] == 1) for i in range(class_count(record))]
    return [(log_odds(logits, 1), truth == 1)]


def _areas(record: Record, logits: NDArray[np.float32]) -> tuple[list[Area], str]:
    """Areas of the labels that have both classes, and a note on the others."""
    every = [area(scores, positive, record.groups) for scores, positive in _problems(record, logits)]
    found = [one for one in every if isinstance(one, Area)]
    reasons = [f"label {i}: {one}" for i, one in enumerate(every) if isinstance(one, str)]
    if not reasons:
        return found, ""
    if record.task == "multiclass":
        return found, reasons[0].removeprefix("label 0: ")
    return found, f"{len(found)} of {len(every)} labels have both classes ({', '.join(reasons)})"


def _average(areas: list[Area]) -> Area:
    return Area(
        float(np.mean([one.auc for one in areas])),
        np.mean([one.influence for one in areas], axis=0),
        min(one.positives for one in areas),
        min(one.negatives for one in areas),
    )


def _limits(areas: list[Area]) -> tuple[float, float]:
    """Limits of a mean of AUCs of which some have no variance: the mean of their score limits, which is the widest."""
    limits = np.array([newcombe(one.auc, one.positives, one.negatives) for one in areas])
    return float(limits[:, 0].mean()), float(limits[:, 1].mean())


def _mean(record: Record, areas: list[Area], note: str) -> Value:
    average, groups = _average(areas), group_count(record.groups)
    if any(one.degenerate for one in areas):
        low, high = _limits(areas)
        return Value(average.auc, low, high, len(record), groups, note=note)
    half = half_width(average.influence, record.groups)
    if half is None:
        return Value(
            average.auc, n=len(record), groups=groups, note=note or "no interval: all images belong to one group"
        )
    return Value(
        average.auc, max(0.0, average.auc - half), min(1.0, average.auc + half), len(record), groups, note=note
    )
