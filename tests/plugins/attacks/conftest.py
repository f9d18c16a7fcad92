"""Small float32 networks and images for the tests of the attacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from medrobust import PENULTIMATE, Classifier, Gradient, LayerGradient, LayerLoss, Loss, SampleRNG, Task

Make = Callable[..., "Network"]


class Network(Classifier):
    """Convolution, softplus, mean over the image, linear: smooth, so that no gradient is exactly zero."""

    def __init__(self, classes: int, task: Task, channels: int, seed: int, scale: float) -> None:
        self.task, self.num_classes = task, classes
        self.forward_passes = self.backward_passes = 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = nn.Sequential(
                nn.Conv2d(channels, 8, 3, padding=1),
                nn.Softplus(),
                nn.AvgPool2d(4),
                nn.Flatten(),
                nn.Linear(32, classes),
            )
        with torch.no_grad():
            net[-1].weight.mul_(scale)
            # Without a bias that answers the mean image, such a network gives all images one class.
            net[-1].bias.copy_(-net(torch.full((1, channels, 8, 8), 0.5))[0] + net[-1].bias)
        self._net = net.eval().requires_grad_(False)

    @property
    def module(self) -> nn.Module:
        return self._net

    def logits(self, images: Tensor) -> Tensor:
        self.forward_passes += len(images)
        with torch.no_grad():
            return self._net(images)

    def gradient(self, images: Tensor, loss: Loss, *, draws: int = 1) -> Gradient:
        leaf = images.detach().clone().requires_grad_(True)
        logits = self._net(leaf)
        values = loss(logits)
        (gradient,) = torch.autograd.grad(values.sum(), leaf)
        self.forward_passes += len(images)
        self.backward_passes += len(images)
        return Gradient(gradient, values.detach(), logits.detach())

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self._net.named_modules() if name)

    def features(self, images: Tensor, layer: str = PENULTIMATE) -> Tensor:
        with torch.no_grad():
            return self._net[:-1](images)

    def layer_gradient(self, images: Tensor, loss: LayerLoss, layer: str = PENULTIMATE) -> LayerGradient:
        leaf = images.detach().clone().requires_grad_(True)
        features = self._net[:-1](leaf)
        logits = self._net[-1](features)
        values = loss(logits, features)
        gradients = torch.autograd.grad(values.sum(), (leaf, features), allow_unused=True)
        self.forward_passes += len(images)
        self.backward_passes += len(images)
        given = [
            torch.zeros_like(of) if each is None else each for each, of in zip(gradients, (leaf, features), strict=True)
        ]
        return LayerGradient(*given, values.detach(), logits.detach(), features.detach())


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small gain nothing from threads and lose much where cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def network() -> Make:
    """A network for 8 x 8 images: `network(classes, task=..., channels=..., seed=..., scale=...)`."""

    def network(
        classes: int, *, task: Task = "multiclass", channels: int = 1, seed: int = 0, scale: float = 20.0
    ) -> Network:
        return Network(classes, task, channels, seed, scale)

    return network


@pytest.fixture
def images() -> Callable[..., Tensor]:
    """`images(n, channels=1)`: smooth random images (n, c, 8, 8) in [0, 1]."""

    def images(count: int, channels: int = 1, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        coarse = torch.rand((count, channels, 3, 3), generator=generator)
        return nn.functional.interpolate(coarse, size=8, mode="bilinear", align_corners=True).clamp(0, 1)

    return images


@pytest.fixture
def draws() -> Callable[..., SampleRNG]:
    """`draws(n, seed=0)`: streams for n images."""
    return lambda count, seed=0: SampleRNG.for_ids(seed, [f"image-{i}" for i in range(count)])
