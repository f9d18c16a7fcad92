"""Early stop: where only success is asked for, images already broken leave the batch.

An image leaves only after the original module in float32 has confirmed it: a prepared model in lower precision alone
would let images go that are not broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from ..contracts import Attack, Budget, Classifier, Goal, Gradient, IterativeAttack, Loss, SampleRNG
from ..errors import PluginError
from .classifier import TorchClassifier

Crafted = Iterator[tuple[int | None, Tensor]]
"""(cumulative value, adversarial images) for every value wanted."""


def until_success(
    attack: Attack,
    wanted: set[int | None],
    classifiers: Sequence[TorchClassifier],
    images: Tensor,
    goal: Goal,
    budget: Budget,
    rng: SampleRNG,
) -> Crafted:
    """(cumulative value, adversarial images) for every value wanted, each image attacked until it is broken.

    What the first classifier leaves unbroken is attacked by the next, from the start and with the same random numbers
    as if there had been no other. An image that is broken when clean stays clean. What the attack returns is not
    trusted: images and norms are verified by the caller.

    Raises:
        PluginError: if the attack ends before its last iteration while images are in play.
    """
    first, *others = classifiers
    made = _stopping(attack, wanted, first, images, goal, budget, rng)
    for other in others:
        made = iter(_again(attack, dict(made), other, images, goal, budget, rng).items())
    yield from made


def _again(
    attack: Attack,
    found: dict[int | None, Tensor],
    classifier: TorchClassifier,
    images: Tensor,
    goal: Goal,
    budget: Budget,
    rng: SampleRNG,
) -> dict[int | None, Tensor]:
    """Attack once more what was left unbroken, at each cumulative value."""
    unbroken = {value: ~goal.reached(classifier.confirm(x)) for value, x in found.items()}
    # What breaks stays broken, so fewer steps leave more; a search may still lose an image again.
    left = torch.stack(list(unbroken.values())).any(dim=0).nonzero().flatten()
    if not len(left):
        return found
    second = _stopping(attack, set(found), classifier, images[left], goal[left], budget, rng[left].restarted())
    for value, adversarial in second:
        mine = unbroken[value][left]
        found[value] = found[value].index_copy(0, left[mine], adversarial[mine])
    return found


def _stopping(
    attack: Attack,
    wanted: set[int | None],
    classifier: TorchClassifier,
    images: Tensor,
    goal: Goal,
    budget: Budget,
    rng: SampleRNG,
) -> Crafted:
    """As :func:`until_success`, with one classifier."""
    result = images.clone()
    left = (~goal.reached(classifier.confirm(images))).nonzero().flatten()
    if not isinstance(attack, IterativeAttack) or wanted == {None}:
        if len(left):
            result[left] = attack.perturb(classifier, images[left], goal[left], budget, rng[left])
        for value in wanted:
            yield value, result
        return
    last = max(v for v in wanted if v is not None)
    number, in_play = 0, len(left)
    if in_play:
        run = _shrinking(attack, classifier, images, goal, budget, rng, left, result, last)
        for number, remaining in enumerate(run, 1):
            in_play = remaining
            if number in wanted:
                yield number, result.clone()
    if in_play and number < last:
        raise PluginError(f"attack '{attack.title}' ended after {number} of {last} iterations")
    for value in sorted(v for v in wanted if v is not None and number < v <= last):
        yield value, result.clone()


class _Watched(Classifier):
    """A classifier that remembers the logits of its last pass: by them the host knows which images may be broken."""

    def __init__(self, inner: TorchClassifier) -> None:
        self._inner = inner
        self.task, self.num_classes, self.stochastic = inner.task, inner.num_classes, inner.stochastic
        self.last_logits: Tensor | None = None

    @property
    def forward_passes(self) -> int:  # type: ignore[override]
        return self._inner.forward_passes

    @property
    def backward_passes(self) -> int:  # type: ignore[override]
        return self._inner.backward_passes

    @property
    def module(self) -> nn.Module:
        return self._inner.module

    def logits(self, images: Tensor) -> Tensor:
        self.last_logits = self._inner.logits(images)
        return self.last_logits

    def gradient(self, images: Tensor, loss: Loss, *, draws: int = 1) -> Gradient:
        found = self._inner.gradient(images, loss, draws=draws)
        self.last_logits = found.logits
        return found

    def features(self, images: Tensor, layer: str) -> Tensor:
        return self._inner.features(images, layer)


def _shrinking(
    attack: IterativeAttack,
    classifier: TorchClassifier,
    images: Tensor,
    goal: Goal,
    budget: Budget,
    rng: SampleRNG,
    left: Tensor,
    result: Tensor,
    last: int,
) -> Iterator[int]:
    """Run an attack on the images `left` and write each step into `result`; images leave as they break.

    Yields how many are still in play after each step.

    The gradient of a step of descent has seen the point before it, so its logits tell for nothing which of those points
    look broken; they alone are confirmed, and leave with that point. Of an attack that sees its result, they are
    confirmed at the point after the step.
    """
    goal, rng = goal[left], rng[left]
    watched = _Watched(classifier)
    steps = attack.iterates(watched, images[left], goal, budget, rng)
    rows = torch.arange(len(left), device=left.device)
    """Rows of the attack's batch that are still in play; the others are there to fill it."""
    before = images[left]
    answer: Tensor | None = None
    while len(left):
        watched.last_logits = None
        try:
            point = next(steps) if answer is None else steps.send(answer)
        except StopIteration:
            return
        if answer is not None and len(point) == int(answer.sum()):
            rows = answer.cumsum(0).sub_(1)[rows]
        current = point[rows]
        seen = current if attack.sees_result else before
        broken = _broken(classifier, watched.last_logits, goal, seen, rows, len(point))
        keep, some = ~broken, bool(broken.any())
        result[left[keep]] = current[keep]
        result[left[broken]] = seen[broken]
        yield int(keep.sum())
        before = current
        if some:
            left, rows, goal, before = left[keep], rows[keep], goal[keep], current[keep]
        answer = _smaller_batch(rows, len(point))


def _broken(
    classifier: TorchClassifier, logits: Tensor | None, goal: Goal, points: Tensor, rows: Tensor, batch: int
) -> Tensor:
    """Which of the points in play look broken by `logits` of the attack's batch, and are; boolean (images in play,)."""
    broken = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    if logits is None or len(logits) != batch:
        return broken
    suspects = goal.reached(logits[rows]).nonzero().flatten()
    if len(suspects):
        filled = torch.cat([suspects, suspects[:1].expand(usual_size(len(suspects)) - len(suspects))])
        confirmed = classifier.confirm(points[filled])[: len(suspects)]
        broken[suspects] = goal[suspects].reached(confirmed)
    return broken


def usual_size(count: int) -> int:
    """The least of a few batch sizes, at least `count`: 1 to 8, then four to a power of two (10, 12, 14, 16, 20, ...).

    The first batch of every new size costs a library the making of a kernel for each layer, which takes longer than a
    few more images.
    """
    step = max(1, (1 << (count - 1).bit_length()) // 8)
    return -(-count // step) * step


def _smaller_batch(rows: Tensor, batch: int) -> Tensor | None:
    """Which rows of an attack's batch to keep, boolean (batch,): those in play and a few to make a usual size.

    None where the usual size is no smaller.
    """
    size = usual_size(len(rows))
    if size >= batch:
        return None
    answer = torch.zeros(batch, dtype=torch.bool, device=rows.device)
    answer[rows] = True
    answer[(~answer).nonzero().flatten()[: size - len(rows)]] = True
    return answer
