"""A defense at test time: the mean over noisy copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from medrobust import Count, Positive, Preprocessing, Reference

COHEN = Reference(
    ("J. Cohen", "E. Rosenfeld", "Z. Kolter"),
    "Certified adversarial robustness via randomized smoothing",
    "International Conference on Machine Learning (ICML)",
    2019,
)


class Smoothed(nn.Module):
    """A model's mean logits over copies of an image (n, c, h, w) with the same noise for every image and every pass.

    Args:
        model: the model.
        deviation: standard deviation of the noise, pixels in [0, 1].
        copies: number of copies.
    """

    def __init__(self, model: nn.Module, deviation: float, copies: int) -> None:
        super().__init__()
        self.model = model
        self.deviation = deviation
        self.copies = copies

    def forward(self, images: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        total = None
        for _ in range(self.copies):
            noise = self.deviation * torch.randn(images.shape[1:], generator=generator)
            logits = self.model(images + noise.to(images))
            total = logits if total is None else total + logits
        assert total is not None
        return total / self.copies


@dataclass(frozen=True)
class RandomisedSmoothing(Preprocessing):
    """The mean logits of noisy copies of an image, after Cohen, Rosenfeld and Kolter (ICML 2019).

    Their classifier counts votes over fresh noise. This one takes the mean, so that attacks have a gradient, over noise
    that is the same each time, so that they see all of it: nothing is withstood by chance, and nothing is certified. A
    pass costs as many passes of the model as there are copies.

    Attributes:
        deviation: standard deviation of the noise, pixels in [0, 1].
        copies: number of noisy copies.
    """

    name: ClassVar[str] = "randomised-smoothing"
    references: ClassVar[tuple[Reference, ...]] = (COHEN,)
    deviation: Positive = 0.1
    copies: Count = 8

    def wrap(self, module: nn.Module) -> nn.Module:
        return Smoothed(module, self.deviation, self.copies)
