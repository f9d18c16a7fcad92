"""The loss surface at its corner, along its axes, and of a loss that is known everywhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medrobust import PluginError, Untargeted
from medrobust.engine.models.classifier import TorchClassifier
from medrobust.plugins.probes import LossSurface

Classify = Callable[..., TorchClassifier]


def sign(classifier: TorchClassifier, images: Tensor, labels: Tensor) -> Tensor:
    return classifier.gradient(images, Untargeted(labels).loss).gradient.sign()


def test_the_corner_is_the_clean_loss_and_the_first_axis_is_fgsm(
    classify: Classify, convolutional: nn.Module, images: Tensor
) -> None:
    classifier = classify(convolutional)
    labels = classifier.logits(images).argmax(1)
    direction = sign(classifier, images, labels)
    other = torch.rand(images.shape, generator=torch.Generator().manual_seed(5)) - 0.5
    found = LossSurface(points=9).measure(classifier, images, images + other.sign() / 255)
    assert found["loss"].shape == (6, 9, 9)
    for number, eps in enumerate(np.linspace(0, 8 / 255, 9)):
        for place, moved in (((number, 0), images + eps * direction), ((0, number), images + eps * other.sign())):
            expected = Untargeted(labels).loss(classifier.logits(moved.clamp(0, 1)))
            assert found["loss"][:, *place] == pytest.approx(expected.numpy(), abs=1e-5)
    assert found["eps"][0] == pytest.approx(np.linspace(0, 8 / 255, 9), abs=1e-7)


def test_the_loss_of_a_linear_model_is_known_everywhere(classify: Classify) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    images = torch.full((1, 1, 2, 2), 0.5)
    weight = module[1].weight.detach()
    logits = module(images).detach()
    label = int(logits.argmax())
    own = (weight[1 - label] - weight[label]).sign()
    other = torch.tensor([1.0, -1.0, 1.0, -1.0])
    adversarial = images + 1e-3 * other.view(1, 1, 2, 2)
    found = LossSurface(points=5).measure(classify(module, 2), images, adversarial)
    grown = (weight[1 - label] - weight[label]) @ torch.stack([own, other], dim=1)
    for i, a in enumerate(found["eps"][0]):
        for j, b in enumerate(found["eps"][0]):
            margin = float(logits[0, 1 - label] - logits[0, label] + a * grown[0] + b * grown[1])
            assert found["loss"][0, i, j] == pytest.approx(np.log1p(np.exp(margin)), abs=1e-6)


def test_pixels_stay_pixels(classify: Classify) -> None:
    seen: list[Tensor] = []

    class Watch(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            seen.extend(images.detach().aminmax())
            return images.flatten(1)[:, :2]

    images = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])
    outwards = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    LossSurface(points=3).measure(classify(Watch(), 2), images, images + outwards)
    assert (min(seen), max(seen)) == (0, 1)


def test_without_a_second_direction_there_is_no_surface(
    classify: Classify, convolutional: nn.Module, images: Tensor
) -> None:
    with pytest.raises(PluginError, match="no second direction, as the cell's images are not attacked"):
        LossSurface().measure(classify(convolutional), images, images)


def test_a_radius_is_a_length_of_pixels() -> None:
    from medrobust import Length

    with pytest.raises(ValueError, match="radius: expected a length such as 8/255, got 'eps/2'"):
        LossSurface(radius=Length.parse("eps/2"))
