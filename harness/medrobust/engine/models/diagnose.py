"""What a few forward passes and one gradient show about a model; the evidence checks use it."""

from __future__ import annotations

from typing import TypedDict

import torch
from torch import Tensor, nn

from ...contracts import Untargeted, decide
from .classifier import TorchClassifier
from .input_scale import other_scale

IMAGES = 64
NOISE = 1e-5
"""Difference of two equal passes, relative to the logits, from which a model counts as random."""
DEPENDS = 1e-3
"""Difference of logits in two batches, relative to their size, that is more than rounding."""


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
        batch: largest difference of an image's logits among other images, relative to their size; 0 where it is
            rounding, None where that cannot be told.
        scale: the numbers that speak for inputs of another scale, as a sentence; None if none do.
    """

    images: int
    zero_gradient: float
    bad_gradient: float
    noise: float
    probabilities: bool
    declared_random: bool
    batch: float | None
    scale: str | None


def diagnose(
    module: nn.Module, images: Tensor, task: str, *, declared_random: bool, labels: Tensor | None = None
) -> Diagnosis:
    """Look at a model through its original module in float32.

    Args:
        module: the model as it was loaded.
        images: clean ones, float32 (n, c, h, w) in [0, 1]; the first `IMAGES` are looked at.
        task: `multiclass` or `multilabel`.
        declared_random: whether the model says that it is random.
        labels: class indices of these images (n,), if there are any.
    """
    images = images[:IMAGES]
    classifier = TorchClassifier(module, task, 0)  # type: ignore[arg-type]
    first, second = classifier.logits(images), classifier.logits(images)
    size = first.abs().max().clamp_min(1e-12)
    noise = float((first - second).abs().max() / size)
    goal = Untargeted(decide(first, multilabel=task == "multilabel"))
    gradient = classifier.gradient(images, goal.loss).gradient.flatten(1)
    with torch.no_grad():
        outputs: Tensor = module(images)
    shares = bool(((outputs >= 0) & (outputs <= 1)).all())
    if task == "multiclass" and outputs.shape[1] > 1:
        shares = shares and bool(((outputs.sum(dim=1) - 1).abs() < 1e-4).all())
    known = labels[:IMAGES] if labels is not None and task == "multiclass" else None
    return {
        "images": len(images),
        "zero_gradient": float((gradient == 0).all(dim=1).float().mean()),
        "bad_gradient": float((~torch.isfinite(gradient)).any(dim=1).float().mean()),
        "noise": noise,
        "probabilities": shares,
        "declared_random": declared_random,
        "batch": _depends_on_batch(classifier, images, first) if noise <= NOISE else None,
        "scale": other_scale(classifier, images, first, known) if noise <= NOISE else None,
    }


def _depends_on_batch(classifier: TorchClassifier, images: Tensor, logits: Tensor) -> float | None:
    """How far the logits of half of the images are from what they are among all of them."""
    half = len(images) // 2
    if half < 2:
        return None
    found = float((classifier.logits(images[:half]) - logits[:half]).abs().max() / logits.abs().max().clamp_min(1e-12))
    return found if found > DEPENDS else 0.0
