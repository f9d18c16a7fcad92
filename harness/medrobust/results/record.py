"""The record of one cell: the per-image outcome from which every metric is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contracts import Task


@dataclass(frozen=True)
class Record:
    """What one cell left of every image, joined with the clean record of the same target and images.

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
        full: whether every image met the attack at full strength; False where it left once broken (`stop = "success"`).
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

    def __len__(self) -> int:
        return len(self.ids)
