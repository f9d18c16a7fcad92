"""Early stop: where only success is asked for, images already broken leave the batch.

An image leaves only after the original module in float32 has confirmed it: a prepared model in lower precision alone
would let images go that are not broken.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..contracts import AnyAttack, Attack, Budget, Draws, Goal, IterativeAttack
from ..errors import PluginError
from .classifier import TorchClassifier


def until_success(
    attack: AnyAttack,
    wanted: set[int | None],
    classifier: TorchClassifier,
    images: Tensor,
    goal: Goal,
    budget: Budget,
    random: Draws,
) -> Iterator[tuple[int | None, Tensor]]:
    """(cumulative value, adversarial images) for every value wanted, as :func:`craft.iterates`, each image attacked
    until it is broken.

    An image that is broken when clean stays clean. What the attack returns is not trusted: images and norms are judged
    by the caller.

    Raises:
        PluginError: if the attack ends before its last iteration while images are in play.
    """
    assert isinstance(attack, Attack)
    result = images.clone()
    left = (~goal.reached(classifier.confirm(images))).nonzero().flatten()
    if not isinstance(attack, IterativeAttack) or wanted == {None}:
        if len(left):
            result[left] = attack.perturb(classifier, images[left], goal[left], budget, random[left])
        for value in wanted:
            yield value, result
        return
    last = max(v for v in wanted if v is not None)
    number, in_play = 0, len(left)
    if in_play:
        run = _shrinking(attack, classifier, images, goal, budget, random, left, result)
        for number, remaining in enumerate(run, 1):
            in_play = remaining
            if number in wanted:
                yield number, result.clone()
    if in_play and number < last:
        raise PluginError(f"attack '{attack.title}' ended after {number} of {last} iterations")
    for value in sorted(v for v in wanted if v is not None and number < v <= last):
        yield value, result.clone()


def _shrinking(
    attack: IterativeAttack,
    classifier: TorchClassifier,
    images: Tensor,
    goal: Goal,
    budget: Budget,
    random: Draws,
    left: Tensor,
    result: Tensor,
) -> Iterator[int]:
    """Run an attack on the images `left` and write each step into `result`; images leave as they break.

    Yields how many are still in play after each step.

    The gradient of a step has seen the point before it, so its logits tell for nothing which of those points look
    broken; they alone are confirmed, and leave with that point. A step without gradient has seen the point it tried, so
    its logits tell which images look broken after it; they are confirmed at the point after the step.
    """
    goal, random = goal[left], random[left]
    steps = attack.iterates(classifier, images[left], goal, budget, random)
    rows = torch.arange(len(left), device=left.device)
    """Rows of the attack's batch that are still in play."""
    before = images[left]
    answer: Tensor | None = None
    while len(left):
        classifier.last_logits = classifier.last_scores = None
        try:
            point = next(steps) if answer is None else steps.send(answer)
        except StopIteration:
            return
        if answer is not None and len(point) == int(answer.sum()) != len(answer):
            rows = torch.arange(len(point), device=left.device)
        current = point[rows]
        if classifier.last_logits is not None:
            broken = _broken(classifier, classifier.last_logits, goal, before, rows, len(point))
        else:
            broken = _broken(classifier, classifier.last_scores, goal, current, rows, len(point))
        keep, some = ~broken, bool(broken.any())
        if classifier.last_logits is not None and some:
            result[left[keep]] = current[keep]
        else:
            result[left] = current
        yield int(keep.sum())
        answer = torch.zeros(len(point), dtype=torch.bool, device=left.device)
        answer[rows[keep]] = True
        if bool(answer.all()):
            answer = None
        before = current
        if some:
            left, rows, goal, before = left[keep], rows[keep], goal[keep], current[keep]


def _broken(
    classifier: TorchClassifier, logits: Tensor | None, goal: Goal, points: Tensor, rows: Tensor, batch: int
) -> Tensor:
    """Which of the points in play look broken by `logits` of the attack's batch, and are; boolean (images in play,)."""
    broken = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    if logits is None or len(logits) != batch:
        return broken
    suspects = goal.reached(logits[rows]).nonzero().flatten()
    if len(suspects):
        broken[suspects] = goal[suspects].reached(classifier.confirm(points[suspects]))
    return broken
