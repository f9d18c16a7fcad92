"""Saliency of models whose gradient is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from medrobust.engine.models.classifier import TorchClassifier
from medrobust.plugins.probes import Saliency

Classify = Callable[..., TorchClassifier]


def linear(outputs: int) -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, outputs))


def test_saliency_of_a_linear_model_is_its_weights(classify: Classify, images: Tensor) -> None:
    # The gradient of the cross-entropy is W^T (p - e_y).
    module = linear(3)
    logits = module(images)
    residual = logits.softmax(dim=1) - nn.functional.one_hot(logits.argmax(1), 3)
    gradient = (residual @ module[1].weight).view(6, 3, 8, 8)  # type: ignore[operator]
    found = Saliency().measure(classify(module), images, images)
    assert found["clean"].shape == (6, 8, 8)
    assert torch.from_numpy(found["clean"]).allclose(gradient.sum(dim=1).abs(), atol=1e-6)
    assert found["clean"].tolist() == found["adversarial"].tolist()


def test_channels_are_summed_before_the_absolute_value(classify: Classify, images: Tensor) -> None:
    module = linear(2)
    with torch.no_grad():
        module[1].weight.view(2, 3, 64)[:, 1] = -module[1].weight.view(2, 3, 64)[:, 0]  # type: ignore[operator]
        module[1].weight.view(2, 3, 64)[:, 2] = 0  # type: ignore[operator]
    # Two channels that pull in opposite directions cancel.
    assert Saliency().measure(classify(module, 2), images, images)["clean"].max() < 1e-6


@pytest.mark.parametrize(("outputs", "classes", "task"), [(1, 2, "multiclass"), (4, 4, "multilabel")])
def test_sigmoids_have_a_loss_of_their_own(
    classify: Classify, images: Tensor, outputs: int, classes: int, task: str
) -> None:
    module = linear(outputs)
    logits = module(images)
    residual = logits.sigmoid() - (logits > 0).float()
    gradient = (residual @ module[1].weight / outputs).view(6, 3, 8, 8)  # type: ignore[operator]
    found = Saliency().measure(classify(module, classes, task), images, images)["clean"]
    assert torch.from_numpy(found).allclose(gradient.sum(dim=1).abs(), atol=1e-6)


def test_the_first_images_of_each_class_are_looked_at() -> None:
    import numpy as np

    assert Saliency(per_class=2).select(np.array([1, 0, 1, 1, 0, 0]), 6).tolist() == [1, 4, 0, 2]
