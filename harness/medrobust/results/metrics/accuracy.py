"""Accuracies: of all images, of those that were correct when clean, per class; and what clinicians read."""

from __future__ import annotations

import numpy as np

from ..outcomes import Mask, class_count, class_names, correct, decisions, labels, select
from ..record import Record
from ..statistics.rates import group_count, mean, mean_of_rates, rate
from ..statistics.value import Value, stack, undefined

NONE_CORRECT = "no image is classified correctly when clean"


def accuracy(record: Record) -> Value:
    """Share of images still classified correctly under attack.

    Multi-label: an image is correct when all its labels are (subset accuracy), which is when an attack has failed on
    it; `label_accuracy` counts labels. The test accuracy of hirano2021 and minagi2022.
    """
    return rate(right(record), record.groups)


def right(record: Record) -> Mask:
    """Which images are classified correctly under attack (n,)."""
    return correct(record, record.adversarial)


def clean_accuracy(record: Record) -> Value:
    """Share of unperturbed images classified correctly; multi-label: with all their labels."""
    return rate(right_when_clean(record), record.groups)


def right_when_clean(record: Record) -> Mask:
    """Which images are classified correctly without a perturbation (n,)."""
    return correct(record, record.clean)


def label_accuracy(record: Record) -> Value:
    """Mean over images of the share of labels decided correctly under attack (1 - Hamming loss)."""
    hits = decisions(record, record.adversarial) == labels(record)
    found = mean(hits.mean(axis=1), record.groups)
    if (interval := found.interval) is None or found.value is None:
        return found
    return Value(found.value, max(0.0, interval[0]), min(1.0, interval[1]), found.n, found.groups, note=found.note)


def accuracy_on_clean_correct(record: Record) -> Value:
    """Share of the images classified correctly when clean that stay correct under attack; 1 - `asr`.

    What ma2020 (Table 2) prints as accuracy in its adversarial rows; its clean row is `clean_accuracy`.
    """
    kept, stay = stays_correct(record)
    return rate(stay[kept], select(record, kept), empty=NONE_CORRECT)


def stays_correct(record: Record) -> tuple[Mask, Mask]:
    """Which images are classified correctly when clean, and which under attack (n,)."""
    return correct(record, record.clean), correct(record, record.adversarial)


def balanced_accuracy(record: Record) -> Value:
    """Mean over classes of the recall under attack; for two classes (TPR + TNR) / 2.

    The AUC of hard labels, which ma2020 (Table 2) prints as AUC in its clean row. Undefined if a class has no images.
    """
    return _balanced(record, np.ones(len(record), dtype=np.bool_), "")


def balanced_accuracy_on_clean_correct(record: Record) -> Value:
    """`balanced_accuracy` over the images classified correctly when clean.

    What ma2020 (Table 2) prints as AUC in its adversarial rows.
    """
    return _balanced(record, correct(record, record.clean), " that are classified correctly when clean")


def _balanced(record: Record, kept: Mask, which: str) -> Value:
    names = [name + which for name in class_names(class_count(record))]
    return mean_of_rates(correct(record, record.adversarial)[kept], labels(record)[kept], names, select(record, kept))


def sensitivity(record: Record) -> Value:
    """True positives over positives under attack, TP / (TP + FN), of a two-class task; positive is class 1.

    Also called recall or true positive rate.
    """
    return _only(record, sensitivity_per_class(record), "sensitivity_per_class")


def specificity(record: Record) -> Value:
    """True negatives over negatives under attack, TN / (TN + FP), of a two-class task; positive is class 1."""
    return _only(record, specificity_per_class(record), "specificity_per_class")


def sensitivity_per_class(record: Record) -> Value:
    """Sensitivity under attack of each class against the rest, or of each label of a multi-label task."""
    return _per_class(record, positive=True)


def specificity_per_class(record: Record) -> Value:
    """Specificity under attack of each class against the rest, or of each label of a multi-label task."""
    return _per_class(record, positive=False)


def _only(record: Record, per_class: Value, vector: str) -> Value:
    count = class_count(record)
    if count > 2 or (record.task == "multilabel" and count != 1):
        reason = f"{count} {'labels' if record.task == 'multilabel' else 'classes'}: see {vector}"
        return undefined(reason, n=len(record), groups=per_class.groups)
    return per_class.at(count - 1)


def _per_class(record: Record, *, positive: bool) -> Value:
    count, names = class_count(record), class_names(class_count(record))
    truth, decided = labels(record), decisions(record, record.adversarial)
    values = []
    for index in range(count):
        is_class = truth[:, index] == 1 if truth.ndim == 2 else truth == index
        said_class = decided[:, index] == 1 if decided.ndim == 2 else decided == index
        kept = is_class if positive else ~is_class
        empty = f"no {'positive' if positive else 'negative'} images of {names[index]}"
        values.append(rate((said_class == is_class)[kept], select(record, kept), empty=empty))
    return stack(values, (count,), n=len(record), groups=group_count(record.groups))
