"""Every metric of the papers as a pure function of a record, under one name each."""

from __future__ import annotations

from ...errors import MedrobustError, did_you_mean
from ..metrics import accuracy, confusion, counts, detection, radius, ranking, success
from ..record import Record
from ..statistics.comparison import Comparison
from ..statistics.value import Value
from .pairs import compare_metric
from .radius import radii
from .registry import Axis, Metric
from .success import CONFIDENCE_BINS

__all__ = ["CONFIDENCE_BINS", "METRICS", "Axis", "Metric", "Value", "compare", "measure", "metric", "radii"]

METRICS: dict[str, Metric] = {
    entry.name: entry
    for entry in (
        Metric("accuracy", accuracy.accuracy, higher_is_robust=True, hits=accuracy.right),
        Metric("clean_accuracy", accuracy.clean_accuracy, hits=accuracy.right_when_clean),
        Metric(
            "label_accuracy", accuracy.label_accuracy, higher_is_robust=True, full_strength=True, tasks=("multilabel",)
        ),
        Metric(
            "accuracy_on_clean_correct",
            accuracy.accuracy_on_clean_correct,
            higher_is_robust=True,
            part=accuracy.stays_correct,
        ),
        Metric("balanced_accuracy", accuracy.balanced_accuracy, higher_is_robust=True, tasks=("multiclass",)),
        Metric(
            "balanced_accuracy_on_clean_correct",
            accuracy.balanced_accuracy_on_clean_correct,
            higher_is_robust=True,
            tasks=("multiclass",),
        ),
        Metric("sensitivity", accuracy.sensitivity, higher_is_robust=True),
        Metric("specificity", accuracy.specificity, higher_is_robust=True),
        Metric(
            "sensitivity_per_class",
            accuracy.sensitivity_per_class,
            higher_is_robust=True,
            full_strength=True,
            axis=("class",),
        ),
        Metric(
            "specificity_per_class",
            accuracy.specificity_per_class,
            higher_is_robust=True,
            full_strength=True,
            axis=("class",),
        ),
        Metric("auc", ranking.auc, unit="AUC", higher_is_robust=True, full_strength=True),
        Metric(
            "auc_ovr", ranking.auc_ovr, unit="AUC", higher_is_robust=True, full_strength=True, tasks=("multiclass",)
        ),
        Metric("mean_auc", ranking.mean_auc, unit="AUC", higher_is_robust=True, full_strength=True),
        Metric("relative_auc", ranking.relative_auc, unit="ratio", higher_is_robust=True, full_strength=True),
        Metric("asr", success.asr, higher_is_robust=False, part=success.loses_correct),
        Metric("asr_all", success.asr_all, higher_is_robust=False, hits=success.broken),
        Metric(
            "asr_by_confidence", success.asr_by_confidence, higher_is_robust=False, axis=("bin",), tasks=("multiclass",)
        ),
        Metric("accuracy_within", radius.accuracy_within, higher_is_robust=True, full_strength=True, axis=("bin",)),
        # An untargeted attack on the true labels that stops at success never touches an image wrong when clean, whose
        # decision it might have changed.
        Metric(
            "fooling_rate",
            success.fooling_rate,
            higher_is_robust=False,
            needs_labels=False,
            full_strength=True,
            hits=success.fooled,
        ),
        Metric(
            "targeted_success", success.targeted_success, higher_is_robust=False, needs_labels=False, hits=success.hit
        ),
        Metric("targeted_baseline", success.targeted_baseline, needs_labels=False, hits=success.hit_when_clean),
        Metric(
            "confusion_matrix",
            confusion.confusion_matrix,
            full_strength=True,
            axis=("class", "class"),
            tasks=("multiclass",),
        ),
        Metric(
            "confusion_matrix_by_prediction",
            confusion.confusion_matrix_by_prediction,
            needs_labels=False,
            full_strength=True,
            axis=("class", "class"),
            tasks=("multiclass",),
        ),
        Metric("predicted_share", confusion.predicted_share, needs_labels=False, full_strength=True, axis=("class",)),
        *(
            Metric(function.__name__, function, unit, higher, tasks=("multiclass",), full_strength=True, scored=True)
            for function, unit, higher in (
                (detection.detection_auc, "AUC", None),
                (detection.detection_auc_at_success, "AUC", None),
                (detection.false_alarms, "fraction", None),
                (detection.undetected_success, "fraction", False),
                (detection.scored_asr, "fraction", False),
            )
        ),
        Metric("images", counts.images, unit="count", needs_labels=False),
        Metric("classes", counts.classes, unit="count", needs_labels=False),
        Metric("mean_l2", success.mean_l2, unit="pixel range", needs_labels=False, full_strength=True),
        Metric("mean_l1", success.mean_l1, unit="pixel range", needs_labels=False, full_strength=True),
        Metric("mean_l0", success.mean_l0, unit="count", needs_labels=False, full_strength=True),
        Metric("mean_linf", success.mean_linf, unit="pixel range", needs_labels=False, full_strength=True),
    )
}


def metric(name: str) -> Metric:
    """The metric called `name`; an unknown name is an error that suggests the nearest."""
    if name not in METRICS:
        raise MedrobustError(f"no metric is called '{name}'{did_you_mean(name, METRICS)}")
    return METRICS[name]


def measure(name: str, record: Record) -> Value:
    """The metric called `name` of `record`."""
    return metric(name)(record)


def compare(name: str, first: Record, second: Record, *, resamples: int = 1000, seed: int = 0) -> Comparison:
    """First minus second of the metric called `name`, over the images that both records have."""
    return compare_metric(metric(name), first, second, resamples=resamples, seed=seed)
