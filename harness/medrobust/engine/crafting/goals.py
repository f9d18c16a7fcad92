"""From what a grid asks of an attack to what it is asked of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from ...contracts import Classifier, Goal, Targeted, Untargeted, decide
from ...errors import DataError
from ...grid.blocks import GoalSpec


def goal_for(
    spec: GoalSpec, labels: Tensor | None, classifier: Classifier, images: Tensor, classes: tuple[str, ...]
) -> Goal:
    """The goal for one batch.

    Raises:
        DataError: if true labels are needed and absent.
    """
    multilabel = classifier.task == "multilabel"
    if spec.targeted:
        index = torch.full((len(images),), classes.index(spec.target), device=images.device)
        return Targeted(torch.nn.functional.one_hot(index, len(classes)) if multilabel else index)
    if spec.kind == "predicted":
        return Untargeted(decide(classifier.logits(images), multilabel=multilabel))
    if labels is None:
        raise DataError('the images have no labels; use goal = "predicted" or a target class')
    return Untargeted(labels.to(images.device))
