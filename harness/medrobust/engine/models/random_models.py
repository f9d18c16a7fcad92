"""Models that give different logits for equal images: the random numbers they draw, and the draws of a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ...contracts import RandomPreprocessing, SampleRNG
from ..numerics import global_seed

_VERDICT, _ATTACK = 1 << 40, 1 << 41
"""Streams of their own for verdicts and for the passes of attacks: no attack sees the numbers that it is judged by."""


class RandomInput(nn.Module):
    """A random transformation in front of a module; `rng` is set by `drawing` before a pass."""

    def __init__(self, defense: RandomPreprocessing, inner: nn.Module) -> None:
        super().__init__()
        self.defense = defense
        self.inner = inner
        self.rng: SampleRNG | None = None

    def forward(self, images: Tensor) -> Tensor:
        rng = positions(0, len(images), images.device) if self.rng is None else self.rng
        logits: Tensor = self.inner(self.defense.transform(images, rng))
        return logits


def positions(seed: int, count: int, device: torch.device | str) -> SampleRNG:
    """Streams for images that are known by their place in a batch alone."""
    return SampleRNG.for_ids(seed, [str(place) for place in range(count)], device)


@contextmanager
def drawing(module: nn.Module, rng: SampleRNG) -> Iterator[None]:
    """Let a module draw from `rng`; one that draws from global generators gets a seed for its batch from it."""
    inputs = [m for m in module.modules() if isinstance(m, RandomInput)]
    for each in inputs:
        each.rng = rng
    try:
        with global_seed(rng.seed()):
            yield
    finally:
        for each in inputs:
            each.rng = None


def verdict_logits(module: nn.Module, images: Tensor, rng: SampleRNG, draws: int) -> Tensor:
    """Logits (n, draws, outputs) by which images are judged, in float32.

    Args:
        module: the target as loaded.
        images: float32 (n, c, h, w).
        rng: streams of these images.
        draws: how many passes; 1 for a model that is not random.
    """
    with torch.no_grad():
        if draws == 1:
            return _pass(module, images)[:, None]
        found = []
        for draw in range(draws):
            with drawing(module, rng.restarted(_VERDICT + draw)):
                found.append(_pass(module, images))
        return torch.stack(found, dim=1)


def _pass(module: nn.Module, images: Tensor) -> Tensor:
    logits: Tensor = module(images)
    return logits


class AttackNumbers:
    """The random numbers of the passes of an attack: others in each pass, the same in each run."""

    def __init__(self) -> None:
        self._rng: SampleRNG | None = None
        self._passes = 0

    def begin(self, rng: SampleRNG) -> None:
        """The images of a batch, whose passes follow."""
        self._rng, self._passes = rng, 0

    def next(self, images: Tensor) -> SampleRNG:
        """Streams for one pass. Images that are not the whole batch are known by their place alone."""
        self._passes += 1
        rng = self._rng
        if rng is None or not len(rng):
            rng = positions(0, len(images), images.device)
        if len(rng) != len(images):
            rng = rng[torch.arange(len(images)) % len(rng)]
        return rng.restarted(_ATTACK + self._passes)
