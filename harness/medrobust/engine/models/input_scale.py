"""Whether a model expects inputs of another scale than it is given: normalised twice, or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ...contracts import decide
from .classifier import TorchClassifier

GOOD = 0.9
"""Share of correct images from which nobody asks further."""
GAIN = 0.2
"""Share of images that another scale must win, over what is right now and over always naming one class."""
FAR = 5.0
"""Mean squared distance from the mean of the training at the first batch norm, over its variance: no accident."""
NEAR = (0.5, 2.0)
"""The same, where the scale is that of the training."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


def other_scale(classifier: TorchClassifier, images: Tensor, logits: Tensor, labels: Tensor | None) -> str | None:
    """The numbers that speak for inputs of another scale, as a sentence; None if none do.

    With the right scale far more images are correct, or the first batch norm sees the statistics of its training again.

    Args:
        classifier: the model.
        images: float32 (n, c, h, w) in [0, 1].
        logits: of these images (n, outputs).
        labels: class indices (n,), if there are any.
    """
    return (None if labels is None else _by_labels(classifier, images, logits, labels)) or _by_distance(
        classifier, images
    )


def _by_labels(classifier: TorchClassifier, images: Tensor, logits: Tensor, labels: Tensor) -> str | None:
    labels, n = labels.to(images.device), len(images)
    now = _right(logits, labels)
    if now >= GOOD * n:
        return None
    scales = [*_undone(images), *_done(images)]
    right, how = max(((_right(classifier.logits(x), labels), how) for how, x in scales), key=lambda pair: pair[0])
    # A scale that makes the model name one class for every image wins nothing.
    if right < max(now, int(labels.bincount().max())) + GAIN * n:
        return None
    return f"{right} of {n} images are right {how}, {now} as it is"


def _by_distance(classifier: TorchClassifier, images: Tensor) -> str | None:
    now = _distance(classifier, images)
    if now is None or now <= FAR:
        return None
    for how, scaled in _undone(images):
        found = _distance(classifier, scaled)
        if found is not None and NEAR[0] <= found <= NEAR[1]:
            return (
                f"at the first batch norm, inputs are {now**0.5:.1f} deviations from the mean of its training, "
                f"{found**0.5:.1f} {how}"
            )
    return None


def _right(logits: Tensor, labels: Tensor) -> int:
    return int((decide(logits, multilabel=False) == labels).sum())


def _distance(classifier: TorchClassifier, images: Tensor) -> float | None:
    """How far from the mean of its training the inputs of the first batch norm are: median over channels of the mean
    square, over the variance of its training; None without such a layer."""
    seen: list[float] = []

    def look(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if not seen and isinstance(layer, Norm) and layer.running_var is not None and layer.running_mean is not None:
            found = inputs[0].transpose(0, 1).flatten(1)
            away = found.var(dim=1) + (found.mean(dim=1) - layer.running_mean) ** 2
            seen.append(float((away / layer.running_var.clamp_min(1e-12)).median()))

    handles = [m.register_forward_pre_hook(look) for m in classifier.original.modules() if isinstance(m, Norm)]
    try:
        if handles:
            classifier.logits(images)
    finally:
        for handle in handles:
            handle.remove()
    return seen[0] if seen else None


def _undone(images: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Images to which a normalisation that people use is the way back."""
    for name, centre, width in _normalisations(images):
        yield f"with a normalisation by {name} undone", images * width + centre
    yield "with values from 0 to 1/255", images / 255


def _done(images: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Images normalised as people do."""
    for name, centre, width in _normalisations(images):
        yield f"normalised by {name}", (images - centre) / width
    yield "with values from 0 to 255", images * 255


def _normalisations(images: Tensor) -> Iterator[tuple[str, Tensor, Tensor]]:
    channels = images.shape[1]
    usual = (torch.tensor(v[:channels] if channels <= 3 else (v[0],) * channels) for v in (MEAN, DEVIATION))
    half = torch.full((channels,), 0.5)
    own = images.mean(dim=(0, 2, 3)), images.std(dim=(0, 2, 3)).clamp_min(1e-6)
    for name, pair in (
        ("ImageNet's mean and deviation", usual),
        ("mean and deviation 0.5", (half, half)),
        ("the images' own mean and deviation", own),
    ):
        centre, width = (v.to(images).view(1, -1, 1, 1) for v in pair)
        yield name, centre, width
