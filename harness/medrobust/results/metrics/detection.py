"""What a detector is worth: chance to tell adversarial from clean images, false alarms, success that it overlooks.

All of them are about the images that it was scored on and that the model classifies correctly when clean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..outcomes import Mask, correct, select
from ..record import Record
from ..statistics.auc import auc_value
from ..statistics.rates import rate
from ..statistics.value import Value, undefined
from .accuracy import NONE_CORRECT
from .success import asr

DETECTED = 0.95
"""Share of adversarial images that a detector must find where false alarms are counted."""
ALARMS = 0.05
"""Share of clean images on which a detector may raise a false alarm where overlooked successes are counted."""
SUCCESS = 0.9
"""Attack success from which the detection of an attack that knows the detector is worth stating."""


def detection_auc(record: Record) -> Value:
    """AUC of a detector: chance that an adversarial image scores above a clean one, ties half (ma2020, section 5).

    Both images of a pair come from one patient, and the interval takes that into account.
    """
    clean, adversarial, _ = _scores(record)
    if not len(clean):
        return undefined(NONE_CORRECT, n=0)
    groups = select(record, _kept(record))
    groups = record.ids[_kept(record)] if groups is None else groups
    return scores_auc(clean, adversarial, groups, groups)


def detection_auc_at_success(record: Record) -> Value:
    """`detection_auc` where the attack succeeds on at least 90 % of the images; undefined where it does not.

    For attacks that know the detector: who changes nothing is not detected either.
    """
    success = asr(record)
    if success.scalar is None:
        return success
    if success.scalar < SUCCESS:
        return undefined(
            f"the attack succeeds on {success.scalar:.1%} of the images, less than {SUCCESS:.0%}", n=success.n
        )
    return detection_auc(record)


def false_alarms(record: Record) -> Value:
    """Share of clean images that score at least as high as the threshold at which 95 % of adversarial ones are found.

    The interval is that of a rate at this threshold.
    """
    clean, adversarial, groups = _scores(record)
    if not len(clean):
        return undefined(NONE_CORRECT, n=0)
    return rate(clean >= threshold(adversarial, 1 - DETECTED), groups)


def undetected_success(record: Record) -> Value:
    """Share of images on which the attack succeeds and raises no alarm, at a threshold with 5 % of false alarms."""
    clean, adversarial, groups = _scores(record)
    if not len(clean):
        return undefined(NONE_CORRECT, n=0)
    alarm = adversarial > threshold(clean, 1 - ALARMS)
    broken = ~correct(record, record.adversarial)[_kept(record)]
    return rate(broken & ~alarm, groups)


def scored_asr(record: Record) -> Value:
    """`asr` over the images that a detector was scored on."""
    return asr(record)


def threshold(scores: NDArray[np.floating], share: float) -> float:
    """The score below which at most a share of the scores lie; it is one of them."""
    return float(np.sort(scores)[min(int(np.floor(share * len(scores))), len(scores) - 1)])


def scores_auc(
    clean: NDArray[np.floating],
    adversarial: NDArray[np.floating],
    clean_groups: NDArray[np.str_] | None = None,
    adversarial_groups: NDArray[np.str_] | None = None,
) -> Value:
    """The AUC of scores of clean and of adversarial images.

    Both sides usually come from the same images: give patient ids, or sample ids where patients are unknown, as the
    groups of both, and the interval takes the pairing into account.
    """
    scores = np.concatenate([clean, adversarial])
    positive = np.arange(len(scores)) >= len(clean)
    if not np.isfinite(scores).all():
        return undefined("scores that are not finite", n=len(scores))
    groups = None
    if clean_groups is not None and adversarial_groups is not None:
        groups = np.concatenate([clean_groups, adversarial_groups])
    return auc_value(scores, positive, groups)


def _kept(record: Record) -> Mask:
    """Images that the model classifies correctly when clean."""
    return correct(record, record.clean)


def _scores(record: Record) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.str_] | None]:
    """Scores of the clean and of the adversarial versions of the images that count, and their groups."""
    kept = _kept(record)
    assert record.clean_scores is not None
    assert record.scores is not None
    return record.clean_scores[kept], record.scores[kept], select(record, kept)
