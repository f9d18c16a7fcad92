"""The record of one cell: the per-image outcome from which every metric is computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contracts import Task


@dataclass(frozen=True, eq=False)
class Record:
    """The results of one cell for every image, joined with the clean record of the same target and images.

    Attributes:
        task: `multiclass` or `multilabel`.
        ids: sample ids (n,).
        labels: class indices (n,), a 0/1 matrix (n, labels), or None where the data set has none.
        clean: logits of the unperturbed images, float32 (n, outputs).
        adversarial: logits of the perturbed images, float32 (n, outputs); the clean record itself repeats `clean`.
        l2: realised l2 norm per image (n,), pixels in [0, 1].
        linf: realised linf norm per image (n,), pixels in [0, 1].
        groups: group ids (patients) (n,), or None where unknown.
        target: the class a targeted attack asked for (an index, or a 0/1 vector for multi-label), else None.
        clean_more: of a random model, logits of the draws after the first (n, draws - 1, outputs).
        adversarial_more: likewise, of the perturbed images.
        clean_scores: a detector's scores of the clean images (n,), not a number for images that it learned from; None
            without a detector.
        scores: likewise, of the perturbed images.
        l1: realised l1 norm per image (n,), where the budget is about it, or bounds nothing.
        l0: number of changed values per image (n,), in the same cases.
        norm: what the budget is about; None of a clean record.
        full: whether every image was attacked to the end; False with `stop = "success"`: images leave once broken.
    """

    task: Task
    ids: NDArray[np.str_]
    labels: NDArray[np.int64] | None
    clean: NDArray[np.float32]
    adversarial: NDArray[np.float32]
    l2: NDArray[np.float32]
    linf: NDArray[np.float32]
    groups: NDArray[np.str_] | None = None
    target: Any = None
    full: bool = True
    clean_more: NDArray[np.float32] | None = None
    adversarial_more: NDArray[np.float32] | None = None
    clean_scores: NDArray[np.float64] | None = None
    scores: NDArray[np.float64] | None = None
    l1: NDArray[np.float32] | None = None
    l0: NDArray[np.float32] | None = None
    norm: str | None = None

    @property
    def draws(self) -> int:
        """Number of verdicts on each image: more than one for a random model."""
        return 1 if self.adversarial_more is None else 1 + self.adversarial_more.shape[1]

    def draw(self, number: int) -> Record:
        """The record of one draw alone."""
        if self.clean_more is None or self.adversarial_more is None:
            return self
        single = replace(self, clean_more=None, adversarial_more=None)
        if number == 0:
            return single
        return replace(single, clean=self.clean_more[:, number - 1], adversarial=self.adversarial_more[:, number - 1])

    def __len__(self) -> int:
        return len(self.ids)
