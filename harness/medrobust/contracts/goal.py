"""What an attack is asked to achieve, and the loss that leads there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from .decision import decisions, predictions


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Per-image cross-entropy, shape (n,): softmax for class indices (n,), mean over sigmoids for a 0/1 matrix.

    A network of two classes with a single output has the sigmoid's, as its decision is that of a sigmoid.
    """
    if labels.ndim == 1 and logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype), reduction="none")
    if labels.ndim == 1:
        return F.cross_entropy(logits, labels, reduction="none")
    return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none").mean(dim=1)


@dataclass(frozen=True)
class Goal(ABC):
    """The labels an attack moves away from or towards; indexing with a mask selects images.

    `labels` are class indices (n,) or, for multi-label tasks, a 0/1 matrix (n, labels).
    """

    labels: Tensor

    @abstractmethod
    def loss(self, logits: Tensor) -> Tensor:
        """Per-image loss that an attack *ascends*, shape (n,)."""

    @abstractmethod
    def reached(self, logits: Tensor) -> Tensor:
        """Per-image success, boolean (n,)."""

    def __getitem__(self, mask: Tensor) -> Goal:
        return type(self)(self.labels[mask])

    def __len__(self) -> int:
        return len(self.labels)


class Untargeted(Goal):
    """Move away from `labels`: the true labels, or the model's own predictions."""

    def loss(self, logits: Tensor) -> Tensor:
        return cross_entropy(logits, self.labels)

    def reached(self, logits: Tensor) -> Tensor:
        if self.labels.ndim == 1:
            return predictions(logits) != self.labels
        return (decisions(logits) != self.labels).any(dim=1)


class Targeted(Goal):
    """Move towards `labels`, the classes asked for."""

    def loss(self, logits: Tensor) -> Tensor:
        return -cross_entropy(logits, self.labels)

    def reached(self, logits: Tensor) -> Tensor:
        if self.labels.ndim == 1:
            return predictions(logits) == self.labels
        return (decisions(logits) == self.labels).all(dim=1)
