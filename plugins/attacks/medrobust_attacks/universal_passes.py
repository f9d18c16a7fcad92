"""Passes over the crafting images: one image at a time as in the papers, or in batches."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .margin import distance
from .universal_crafting import Crafting, shrink

_LONGEST_BLOCK = 64
_WEIGHT = 0.2
"""Weight of the latest batch in the moving average of `drift`."""


@dataclass(frozen=True)
class SequentialPasses:
    """Passes over the images one at a time.

    A block of images is tried from the same perturbation at once. Those before the first accepted step are done, since
    nothing has changed for them; those after it are tried again. So the result is that of one image at a time, and the
    length of a block, which follows how far accepted steps lie apart, decides about time only.
    """

    crafting: Crafting

    def run(self, perturbation: Tensor, order: Tensor) -> Tensor:
        """The perturbation after one pass over the images in `order`; the same object if nothing changed."""
        position, length, eager = 0, 1, True
        while position < len(order):
            block = order[position : position + length]
            attempt = self.crafting.attempt(block, perturbation, eager=eager)
            eager = 2 * len(attempt.positions) > len(block)
            accepted = attempt.accepted.nonzero().squeeze(1)
            if not len(accepted):
                position += len(block)
                length = min(2 * length, _LONGEST_BLOCK)
                continue
            first = int(accepted[0])
            perturbation = shrink(attempt.stepped[first] - attempt.images[first], self.crafting.budget)
            tried = int(attempt.positions[first]) + 1
            position += tried
            length = max(1, (length + tried) // 2)
        return perturbation

    def done(self, perturbation: Tensor, delta: float) -> bool:
        """Whether at least a share of 1 - delta of the images reaches the goal."""
        return self.crafting.done(perturbation, delta)


@dataclass
class BatchedPasses:
    """Passes in batches: every accepted step of a batch is taken from the same perturbation, their sum is projected.

    An image rests while the perturbation is unlikely to have brought it to a new decision, or within a step of one.
    That follows from its distance in logits when it was last seen, from the way of the perturbation since (mean over
    pixels of its moves, in steps), and from how fast distances have changed along that way of late (`drift`). A step is
    tried only where the largest change that any step has made so far (`reach`) would do. With batches of one image,
    infinite reach and unbounded caution, no image rests and this is the sequential algorithm.

    Attributes:
        crafting: what is crafted.
        batch: images a batch.
        caution: factor on `drift`.
        reach: largest change of distance by a step on its own image, in logits; 0 while none is known.
    """

    crafting: Crafting
    batch: int
    caution: float = 1.0
    reach: float = 0.0
    _drift: float = math.inf
    _travelled: float = 0.0
    _seen_at: Tensor = field(init=False)
    _distance: Tensor = field(init=False)
    _wait: Tensor = field(init=False)

    def __post_init__(self) -> None:
        images = self.crafting.images
        zeros = torch.zeros(len(images), device=images.device)
        self._seen_at, self._distance, self._wait = zeros, torch.full_like(zeros, math.nan), zeros.clone()

    def run(self, perturbation: Tensor, order: Tensor) -> Tensor:
        """The perturbation after one pass over the images in `order`; the same object if nothing changed."""
        position = 0
        while position < len(order):
            rest = order[position:]
            rate = min(self._drift, self.reach or 1.0) * self.caution
            awake = (self._travelled - self._seen_at[rest]) * rate >= self._wait[rest]
            due = awake.nonzero().squeeze(1)[: self.batch]
            if not len(due):
                break
            position += int(due[-1]) + 1
            moved = self._step(rest[due], perturbation)
            if moved is not perturbation:
                self._travelled += float((moved - perturbation).abs().mean()) / self.crafting.step_size
                perturbation = moved
        return perturbation

    def done(self, perturbation: Tensor, delta: float) -> bool:
        """Whether at least a share of 1 - delta of the images reaches the goal; asked only if it did when last seen."""
        share = float((self._distance <= 0).float().mean())
        return share >= 1 - delta and self.crafting.done(perturbation, delta)

    def _step(self, block: Tensor, perturbation: Tensor) -> Tensor:
        crafting = self.crafting
        moved, goal = crafting.images[block] + perturbation, crafting.goal[block]
        before = distance(goal, crafting.logits(moved))
        self._observe(block, before)
        near = ((before > 0) & (before <= (self.reach or math.inf))).nonzero().squeeze(1)
        accepted, after = near.bool(), before[near]
        if len(near):
            goal, moved = goal[near], moved[near]
            steps, _ = crafting.sign_steps(moved, goal)
            logits = crafting.logits(moved.add_(steps))
            after, accepted = distance(goal, logits), goal.reached(logits)
            self.reach = max(self.reach, float((before[near] - after).amax()))
        # What separates an image from a new decision: the goal lost, or a step that would now succeed.
        wait = torch.where(before > 0, before - self.reach, -before)
        wait[near] = after.abs()
        self._wait[block] = wait.clamp_(min=0.0)
        if not accepted.any():
            return perturbation
        return shrink(perturbation + steps[accepted].sum(dim=0), crafting.budget)

    def _observe(self, block: Tensor, before: Tensor) -> None:
        """Note the distances of a block, and how fast they have changed since they were last noted."""
        way = self._travelled - self._seen_at[block]
        change = (before - self._distance[block]).abs().div_(way)[way > 0]
        change = change[change.isfinite()]
        if len(change):
            fastest = float(change.amax())
            self._drift = fastest if self._drift == math.inf else self._drift + _WEIGHT * (fastest - self._drift)
        self._seen_at[block], self._distance[block] = self._travelled, before
