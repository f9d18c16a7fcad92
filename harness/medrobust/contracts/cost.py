"""How much work something is, counted in images that pass through a model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Passes:
    """Images that pass through a model, by what is computed of them; about, for estimates of time.

    Attributes:
        forward: logits alone.
        gradient: logits and the gradient with respect to the images.
        training: a step of training.
    """

    forward: float = 0.0
    gradient: float = 0.0
    training: float = 0.0

    def __add__(self, other: Passes) -> Passes:
        return Passes(self.forward + other.forward, self.gradient + other.gradient, self.training + other.training)

    def times(self, factor: float) -> Passes:
        """So many of them."""
        return Passes(self.forward * factor, self.gradient * factor, self.training * factor)
