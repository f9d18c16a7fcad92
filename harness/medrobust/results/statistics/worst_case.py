"""The strongest of several attacks, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import MedrobustError
from ..outcomes import correct, labels
from ..record import Record
from .comparison import align
from .value import Floats


def worst_case(records: Sequence[Record]) -> Record:
    """The record in which each image has the result of the attack that is worst for it.

    An image counts as robust only where it is classified correctly under every attack, so that accuracy of this
    record is at most the smallest of the records' (Croce and Hein 2020, ICML, report it so for AutoAttack). Where
    several attacks succeed, or none, the one with the smallest margin is taken; ties go to the earlier record. Of a
    random model, the attack is taken that leaves an image correct in the fewest draws: an attacker chooses the attack,
    not the draw.
    Needs labels, and records of one target and the same images.
    """
    if not records:
        raise MedrobustError("no records to take the worst case of")
    first = records[0]
    if first.labels is None:
        raise MedrobustError("the worst case over attacks needs labels, and these images have none")
    aligned = [align(first, record)[1] for record in records]
    if any(len(record) != len(first) for record in (*aligned, *records)):
        raise MedrobustError("the records are of different images: the worst case needs the same images in each")
    if any(not np.array_equal(record.clean, first.clean) for record in aligned):
        raise MedrobustError("the records have different clean logits: the worst case is over attacks on one target")
    if len({record.draws for record in aligned}) > 1:
        raise MedrobustError("the records differ in their draws: the worst case is over attacks on one target")
    # Broken images first, then by margin: a margin of 0 alone does not say which side the decision fell.
    robust = np.stack([stays_robust(record) for record in aligned])
    margins = np.stack([margin(record) for record in aligned])
    chosen = np.lexsort((margins, robust), axis=0)[0]
    image = np.arange(len(first))
    more = np.stack([r.adversarial_more for r in aligned if r.adversarial_more is not None] or [first.adversarial])

    return replace(
        first,
        adversarial=np.stack([record.adversarial for record in aligned])[chosen, image],
        l2=np.stack([record.l2 for record in aligned])[chosen, image],
        linf=np.stack([record.linf for record in aligned])[chosen, image],
        l1=_chosen([record.l1 for record in aligned], chosen, image),
        l0=_chosen([record.l0 for record in aligned], chosen, image),
        target=None,
        full=all(record.full for record in aligned),
        adversarial_more=None if first.adversarial_more is None else more[chosen, image],
    )


def _chosen(norms: list[NDArray[np.float32] | None], chosen: NDArray[Any], image: NDArray[Any]) -> Any:
    """A norm of the chosen records; None where one of all has not measured it."""
    known = [norm for norm in norms if norm is not None]
    return np.stack(known)[chosen, image] if len(known) == len(norms) else None


def stays_robust(record: Record) -> Floats:
    """Share of the draws in which each image is classified correctly under attack (n,); 0 or 1 unless it is random."""
    each = [correct(record, record.draw(number).adversarial) for number in range(record.draws)]
    return np.asarray(np.mean(each, axis=0, dtype=np.float64))


def margin(record: Record) -> Floats:
    """How far each image is from a wrong decision under attack, in logits (n,); negative where the decision is wrong.

    The logit of the label less the largest other; for multi-label tasks the smallest signed logit over the labels.
    """
    wide, truth = record.adversarial.astype(np.float64), labels(record)
    if truth.ndim == 2:
        return np.asarray(np.where(truth == 1, wide, -wide).min(axis=1))
    if wide.shape[1] == 1:
        return np.asarray(np.where(truth == 1, wide[:, 0], -wide[:, 0]))
    image = np.arange(len(wide))
    own = wide[image, truth]
    others = wide.copy()
    others[image, truth] = -np.inf
    return np.asarray(own - others.max(axis=1))
