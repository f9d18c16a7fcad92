"""What two forward passes and one gradient show about a model; the evidence checks use it."""

from __future__ import annotations

from typing import TypedDict

import torch
from torch import Tensor, nn

from ...contracts import Untargeted, decide
from .classifier import TorchClassifier

IMAGES = 64


class Diagnosis(TypedDict):
    """Findings on a few clean images.

    Attributes:
        images: how many.
        zero_gradient: share of images whose loss has no gradient at all.
        bad_gradient: share of images whose gradient holds NaN or infinity.
        noise: largest difference of logits between two equal forward passes, relative to their size.
        probabilities: whether the outputs look like probabilities: each in [0, 1] and, of several classes, each row
            summing to 1.
        declared_random: whether the model says that it is random.
    """

    images: int
    zero_gradient: float
    bad_gradient: float
    noise: float
    probabilities: bool
    declared_random: bool


def diagnose(module: nn.Module, images: Tensor, task: str, *, declared_random: bool) -> Diagnosis:
    """Look at a model through its original module in float32."""
    images = images[:IMAGES]
    classifier = TorchClassifier(module, task, 0)  # type: ignore[arg-type]
    first, second = classifier.logits(images), classifier.logits(images)
    goal = Untargeted(decide(first, multilabel=task == "multilabel"))
    gradient = classifier.gradient(images, goal.loss).gradient.flatten(1)
    shares = bool(((first >= 0) & (first <= 1)).all())
    if task == "multiclass" and first.shape[1] > 1:
        shares = shares and bool(((first.sum(dim=1) - 1).abs() < 1e-4).all())
    return {
        "images": len(images),
        "zero_gradient": float((gradient == 0).all(dim=1).float().mean()),
        "bad_gradient": float((~torch.isfinite(gradient)).any(dim=1).float().mean()),
        "noise": float((first - second).abs().max() / first.abs().max().clamp_min(1e-12)),
        "probabilities": shares,
        "declared_random": declared_random,
    }
