"""From what a grid asks of an attack to what it is asked of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from ...contracts import Classifier, CraftingImages, Goal, Targeted, Untargeted, decide
from ...errors import DataError
from ...grid.blocks import GoalSpec


def goal_of_many(
    spec: GoalSpec,
    labels: Tensor | None,
    classifier: Classifier,
    images: CraftingImages,
    classes: tuple[str, ...],
    batch_size: int,
) -> Goal:
    """The goal for images that are more than memory holds, looked at in batches.

    Raises:
        DataError: if true labels are needed and absent.
    """
    parts = []
    for start in range(0, len(images), batch_size):
        stop = min(start + batch_size, len(images))
        known = None if labels is None else labels[start:stop]
        # Only a prediction looks at pixels; other goals need not read them.
        looked_at = images[start:stop] if spec.kind == "predicted" else torch.empty(stop - start, device=images.device)
        parts.append(goal_for(spec, known, classifier, looked_at, classes))
    return type(parts[0])(torch.cat([part.labels for part in parts]))


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
