"""Networks of a few layers whose gradients and maps are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from medrobust.engine.models.classifier import TorchClassifier

Classify = Callable[..., TorchClassifier]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def classify() -> Classify:
    """A classifier of a module."""

    def make(module: nn.Module, classes: int = 3, task: str = "multiclass") -> TorchClassifier:
        return TorchClassifier(module, task, classes)  # type: ignore[arg-type]

    return make


@pytest.fixture
def convolutional() -> nn.Sequential:
    """Two convolutions, average pooling over all places, one linear layer."""
    torch.manual_seed(3)
    features = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3))
