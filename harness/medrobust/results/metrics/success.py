"""What an attack achieves: success, fooling and targeted success rates, and the size of what it added."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..outcomes import Mask, confidence, correct, decisions, same, select
from ..record import Record
from ..statistics.rates import group_count, mean, rate
from ..statistics.value import Value, stack, undefined
from .accuracy import NONE_CORRECT

CONFIDENCE_BINS = np.linspace(0.5, 1.0, 11)
"""Edges of the bins of `asr_by_confidence`: closed below, the last one closed above."""


def asr(record: Record) -> Value:
    """Attack success rate: images correct when clean and wrong under attack, over images correct when clean.

    Native misclassifications are not counted (kovalev2019, section 4, as we understand its denominator).
    """
    kept, lost = loses_correct(record)
    return rate(lost[kept], select(record, kept), empty=NONE_CORRECT)


def loses_correct(record: Record) -> tuple[Mask, Mask]:
    """Which images are classified correctly when clean, and which are not under attack (n,)."""
    return correct(record, record.clean), ~correct(record, record.adversarial)


def asr_all(record: Record) -> Value:
    """Images correct when clean and wrong under attack, over all images (kovalev2019, section 4, the other meaning)."""
    return rate(broken(record), record.groups)


def broken(record: Record) -> Mask:
    """Which images are correct when clean and wrong under attack (n,)."""
    return correct(record, record.clean) & ~correct(record, record.adversarial)


def asr_by_confidence(record: Record) -> Value:
    """`asr` in ten equal bins over [0.5, 1] of the largest clean probability (kovalev2019, Fig. 3c).

    Images under 0.5, possible from three classes on, have no bin; the note counts them.
    """
    kept = correct(record, record.clean)
    lost = ~correct(record, record.adversarial)[kept]
    sure, groups = confidence(record.clean)[kept], select(record, kept)
    bins = np.minimum(np.searchsorted(CONFIDENCE_BINS, sure, side="right") - 1, len(CONFIDENCE_BINS) - 2)
    values = []
    for index in range(len(CONFIDENCE_BINS) - 1):
        inside = bins == index
        low, high = CONFIDENCE_BINS[index : index + 2]
        empty = f"no image correct when clean has a confidence in [{low:.2f}, {high:.2f}]"
        values.append(rate(lost[inside], None if groups is None else groups[inside], empty=empty))
    dropped = int(np.count_nonzero(confidence(record.clean) < CONFIDENCE_BINS[0]))
    note = f"{dropped} of {len(record)} images with confidence below 0.5 left out" if dropped else ""
    return stack(values, (len(values),), n=int(np.count_nonzero(bins >= 0)), groups=group_count(groups), note=note)


def fooling_rate(record: Record) -> Value:
    """R_f: share of images whose decision differs from the clean decision, native errors included.

    hirano2021 (Methods), minagi2022 (section 2.3). Multi-label: whose decision on any label differs.
    """
    return rate(fooled(record), record.groups)


def fooled(record: Record) -> Mask:
    """Which images are decided otherwise than when clean (n,)."""
    return ~same(decisions(record, record.clean), decisions(record, record.adversarial))


def targeted_success(record: Record) -> Value:
    """R_s: share of all images, those of the target class included, decided as the target (hirano2021, Methods).

    Multi-label: decided as the target on every label.
    """
    return _targeted(record, record.adversarial)


def targeted_baseline(record: Record) -> Value:
    """`targeted_success` of the unperturbed images: the share already decided as the target."""
    return _targeted(record, record.clean)


def _targeted(record: Record, logits: np.ndarray) -> Value:
    if record.target is None:
        return undefined("the attack was not targeted", n=len(record), groups=group_count(record.groups))
    return rate(same(decisions(record, logits), record.target), record.groups)


def hit(record: Record) -> Mask:
    """Which images of a targeted attack are decided as the target (n,)."""
    return same(decisions(record, record.adversarial), record.target)


def hit_when_clean(record: Record) -> Mask:
    """Which images are decided as the target without the perturbation (n,)."""
    return same(decisions(record, record.clean), record.target)


def mean_l2(record: Record) -> Value:
    """Mean over images of the realised l2 norm of the perturbation, pixels in [0, 1]."""
    return mean(record.l2, record.groups)


def mean_l1(record: Record) -> Value:
    """Mean over images of the realised l1 norm of the perturbation, pixels in [0, 1]."""
    return _measured(record, record.l1)


def mean_l0(record: Record) -> Value:
    """Mean over images of the number of values (pixels times channels) that the perturbation changes."""
    return _measured(record, record.l0)


def _measured(record: Record, norm: NDArray[np.float32] | None) -> Value:
    if norm is None:
        return undefined(
            "measured of budgets that are about it alone", n=len(record), groups=group_count(record.groups)
        )
    return mean(norm, record.groups)


def mean_linf(record: Record) -> Value:
    """Mean over images of the realised l-infinity norm of the perturbation, pixels in [0, 1]."""
    return mean(record.linf, record.groups)
