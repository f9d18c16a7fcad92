"""Early stop: with `stop = "success"`, images that are broken leave the batch.

An image leaves only after the original module in float32 has confirmed it: a prepared model in lower precision alone
would let images go that are not broken. Batches shrink to few sizes, and images are confirmed together, so that
stopping early costs less than it saves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from ...contracts import (
    PENULTIMATE,
    Attack,
    Budget,
    Classifier,
    Goal,
    Gradient,
    IterativeAttack,
    LayerGradient,
    LayerLoss,
    Loss,
    SampleRNG,
)
from ...errors import PluginError
from ...results.verdict import form_fault
from ..models.classifier import TorchClassifier

DOUBT = 3
"""Steps for which an image that looked broken, and was not, is not confirmed for its own sake."""

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
    """As `until_success`, with one classifier."""
    result = images.clone()
    left = (~goal.reached(classifier.confirm(images))).nonzero().flatten()
    if not len(left):
        for value in wanted:
            yield value, result.clone()
        return
    filled = _filled(left, usual_size(len(left), len(images)))
    if not isinstance(attack, IterativeAttack) or wanted == {None}:
        found = attack.perturb(classifier, images[filled], goal[filled], budget, rng[filled])
        # What is no batch of images is shown to the caller as it is, who says what is wrong with it.
        if form_fault(found, images[filled]) is None:
            result[left] = found[: len(left)]
            found = result
        for value in wanted:
            yield value, found
        return
    run = _Shrinking(attack, classifier, images, goal, budget, rng, left, filled, result)
    steps = sorted(v for v in wanted if v is not None)
    for number in range(1, steps[-1] + 1):
        if not run.step(last=number == steps[-1], wanted=number in wanted):
            raise PluginError(f"attack '{attack.title}' ended after {number - 1} of {steps[-1]} iterations")
        if number in wanted:
            yield number, result.clone()
        if not run.in_play:
            for value in (v for v in steps if v > number):
                yield value, result.clone()
            return


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

    def gradients(self, images: Tensor, losses: Sequence[Loss]) -> list[Gradient]:
        found = self._inner.gradients(images, losses)
        self.last_logits = found[0].logits
        return found

    @property
    def layers(self) -> tuple[str, ...]:
        return self._inner.layers

    def features(self, images: Tensor, layer: str = PENULTIMATE) -> Tensor:
        return self._inner.features(images, layer)

    def layer_gradient(self, images: Tensor, loss: LayerLoss, layer: str = PENULTIMATE) -> LayerGradient:
        found = self._inner.layer_gradient(images, loss, layer)
        self.last_logits = found.logits
        return found


class _Shrinking:
    """Runs an attack in steps on images that leave as they break, and writes what became of them into `result`.

    The pass of a gradient step is on the point before it, so its logits show at no extra cost which points look
    broken. An image that looks broken keeps that point and stays in the batch until so many do that a smaller batch
    suffices; then the original confirms all of them in one pass, and those that are broken leave with the point they
    kept. If the attack sees its result, the point is the one after the step.
    """

    def __init__(
        self,
        attack: IterativeAttack,
        classifier: TorchClassifier,
        images: Tensor,
        goal: Goal,
        budget: Budget,
        rng: SampleRNG,
        left: Tensor,
        filled: Tensor,
        result: Tensor,
    ) -> None:
        self._sees_result = attack.sees_result
        self._original = classifier
        self._watched = _Watched(classifier)
        self._steps = attack.iterates(self._watched, images[filled], goal[filled], budget, rng[filled])
        self._answer: Tensor | None = None
        self._size = len(filled)
        self._goal = goal[left]
        self._result = result
        self._left = left
        """Places in the result of the images in play."""
        self._rows = torch.arange(len(left), device=left.device)
        """Their rows in the attack's batch; the other rows are there to fill it."""
        self._before = images[left]
        """Their points before the step that comes."""
        self._kept = torch.empty_like(self._before)
        """Of those that look broken, the point at which they did."""
        self._looks_broken = torch.zeros(len(left), dtype=torch.bool, device=left.device)
        self._doubt = torch.zeros(len(left), dtype=torch.int64, device=left.device)
        """For how many steps an image that looked broken and was not calls for no confirmation by itself."""

    @property
    def in_play(self) -> int:
        """How many images are left."""
        return len(self._left)

    def step(self, *, last: bool, wanted: bool) -> bool:
        """One step of the attack; where it is wanted, `result` holds all images as they are after it.

        Returns:
            Whether the attack made the step.
        """
        self._watched.last_logits = None
        try:
            point = next(self._steps) if self._answer is None else self._steps.send(self._answer)
        except StopIteration:
            return False
        if self._answer is not None and len(point) == int(self._answer.sum()):
            self._rows = self._answer.cumsum(0).sub_(1)[self._rows]
        self._size, self._answer = len(point), None
        current = point[self._rows]
        self._look(current if self._sees_result else self._before)
        self._before = current
        self._doubt -= 1
        certain = int((~self._looks_broken | (self._doubt > 0)).sum())
        smaller = usual_size(certain, self._size) < self._size
        if bool(self._looks_broken.any()) and (wanted or last or not certain or smaller):
            self._confirm()
        if wanted:
            self._result[self._left] = self._before
        if not last:
            self._answer = self._smaller_batch()
        return True

    def _look(self, seen: Tensor) -> None:
        """Keep the points at which images look broken by the logits of the attack's last pass."""
        logits = self._watched.last_logits
        if logits is None or len(logits) != self._size:
            return
        reached = self._goal.reached(logits[self._rows]) & (~self._looks_broken | (self._doubt > 0))
        self._kept[reached] = seen[reached]
        self._looks_broken |= reached

    def _confirm(self) -> None:
        """Let those go that the original finds broken; the others go on."""
        candidates = self._looks_broken.nonzero().flatten()
        places = _filled(candidates, usual_size(len(candidates), len(self._result)))
        logits = self._original.confirm(self._kept[places])[: len(candidates)]
        broken = torch.zeros_like(self._looks_broken)
        broken[candidates] = self._goal[candidates].reached(logits)
        self._result[self._left[broken]] = self._kept[broken]
        self._doubt[self._looks_broken & ~broken] = DOUBT
        self._looks_broken.zero_()
        keep = ~broken
        self._left, self._rows, self._goal = self._left[keep], self._rows[keep], self._goal[keep]
        self._before, self._kept = self._before[keep], self._kept[keep]
        self._looks_broken, self._doubt = self._looks_broken[keep], self._doubt[keep]

    def _smaller_batch(self) -> Tensor | None:
        """Which rows of the attack's batch to keep, boolean (batch,): those in play and a few to make a usual size.

        None where the usual size is no smaller.
        """
        size = usual_size(len(self._rows), self._size)
        if not len(self._rows) or size >= self._size:
            return None
        answer = torch.zeros(self._size, dtype=torch.bool, device=self._rows.device)
        answer[self._rows] = True
        answer[(~answer).nonzero().flatten()[: size - len(self._rows)]] = True
        return answer


def usual_size(count: int, most: int) -> int:
    """The least of a few batch sizes, at least `count`, or `most` where that is less.

    They are 1, 2, 3, 4, 6, 8, 12, 16, 24, 32 and then four per power of two (40, 48, 56, 64, 80, ...). The first
    batch of every new size costs a library the making of a kernel for each layer, which takes longer than a few more
    images.
    """
    power = 1 << max(count - 1, 0).bit_length()
    step = max(1, power // (4 if power <= 32 else 8))
    return min(-(-count // step) * step, most)


def _filled(places: Tensor, size: int) -> Tensor:
    """Places repeated up to a usual size."""
    return torch.cat([places, places[:1].expand(size - len(places))])
