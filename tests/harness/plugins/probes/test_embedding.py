"""t-SNE of deep features: the same places every time, groups where features have groups."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medrobust import PluginError
from medrobust.engine.models.classifier import TorchClassifier
from medrobust.plugins.probes import TSNE

Classify = Callable[..., TorchClassifier]


@pytest.fixture
def many() -> Tensor:
    return torch.rand(24, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_equal_features_have_equal_places(classify: Classify, convolutional: nn.Module, many: Tensor) -> None:
    first, again = (TSNE().measure(classify(convolutional), many, 1 - many) for _ in range(2))
    assert first["clean"].shape == first["adversarial"].shape == (24, 2)
    for name, places in first.items():
        np.testing.assert_array_equal(places, again[name])


def test_features_are_those_of_the_layer(classify: Classify, convolutional: nn.Module, many: Tensor) -> None:
    found = TSNE().measure(classify(convolutional), many, 1 - many)
    deep = convolutional[:7]  # type: ignore[index]
    np.testing.assert_allclose(found["clean_features"], deep(many).detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(found["adversarial_features"], deep(1 - many).detach().numpy(), atol=1e-6)
    # Of maps, the means over their places: here what the average pooling makes of them.
    maps = TSNE(layer="4").measure(classify(convolutional), many, 1 - many)
    np.testing.assert_allclose(maps["clean_features"], found["clean_features"], atol=1e-6)


def test_images_that_differ_in_features_lie_apart(classify: Classify, many: Tensor) -> None:
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    found = TSNE(perplexity=8).measure(classify(module, 2), many, many * 0.1 + 0.9)
    clean, adversarial = found["clean"], found["adversarial"]
    between = np.linalg.norm(clean[:, None] - adversarial[None], axis=2).min()
    nearest = np.linalg.norm(clean[:, None] - clean[None], axis=2) + 1e9 * np.eye(24)
    assert between > nearest.min(axis=1).max()


def test_few_images_are_told(classify: Classify, convolutional: nn.Module, many: Tensor) -> None:
    with pytest.raises(PluginError, match="probe 't-sne' needs at least 3 images; there are 2"):
        TSNE().measure(classify(convolutional), many[:2], many[:2])
    assert TSNE().measure(classify(convolutional), many[:3], many[:3])["clean"].shape == (3, 2)
    assert TSNE(images=5).select(None, 24).tolist() == [0, 1, 2, 3, 4]
    assert TSNE().select(None, 24).tolist() == list(range(24))


def test_an_unknown_layer_is_answered_with_the_others(
    classify: Classify, convolutional: nn.Module, many: Tensor
) -> None:
    with pytest.raises(PluginError, match="no layer 'dense'; its layers: penultimate, 0, 1"):
        TSNE(layer="dense").measure(classify(convolutional), many, many)
