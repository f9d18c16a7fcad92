"""A network trained on images of its own, and local plugins that ought to be found out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medrobust import Shape

UNUSUAL_MODELS = Path(__file__).parent / "unusual_models.py"

Images = tuple[Tensor, Tensor]
Randomise = Callable[[nn.Module], nn.Module]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small gain nothing from threads and lose much where cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def unusual_models() -> Path:
    """The local plugin file with models, defenses and attacks that the evidence must find out."""
    return UNUSUAL_MODELS


def _shadows(count: int, seed: int) -> Images:
    """Noisy grey images (n, 1, 16, 16); a broad shadow lies left, right, or nowhere: three classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    rows = torch.arange(16).view(1, 16, 1).float()
    columns = torch.arange(16).view(1, 1, 16).float()
    middle = torch.where(labels == 0, 4.0, 12.0) + torch.randn(count, generator=generator)
    height = 8 + 2 * torch.randn(count, generator=generator)
    distance = (columns - middle.view(-1, 1, 1)) ** 2 + (rows - height.view(-1, 1, 1)) ** 2
    depth = (0.12 + 0.1 * torch.rand(count, generator=generator)) * (labels < 2)
    images = 0.6 - depth.view(-1, 1, 1) * torch.exp(-distance / 18)
    images = images + 0.08 * torch.randn(count, 16, 16, generator=generator)
    return images.clamp(0, 1).unsqueeze(1), labels


@pytest.fixture(scope="session")
def shadows() -> Images:
    """960 images that the trained network has not seen, with their labels."""
    return _shadows(960, 1)


@pytest.fixture(scope="session")
def trained() -> nn.Module:
    """A small residual network that has learnt the shadows, frozen, in evaluation mode.

    Training gives other weights on other processors. Tests that state a bound on what this network does say what was
    measured: the range over six seeds, each with the processor's own instructions (AVX-512) and with SSE 4.1 only.
    """
    models = pytest.importorskip("medrobust_models")  # the core's own tests run without bundled plugins
    images, labels = _shadows(480, 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = models.SmallResNet(width=8).build(Shape(1, 16, 16, 3))
        optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3)
        for _ in range(8):
            for index in torch.randperm(len(images)).split(48):
                optimizer.zero_grad()
                F.cross_entropy(module(images[index]), labels[index]).backward()
                optimizer.step()
    return module.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def randomise() -> Randomise:
    """Give every batch norm of a module statistics and weights that a fold must get right; evaluation mode, frozen."""

    def randomise(module: nn.Module) -> nn.Module:
        generator = torch.Generator().manual_seed(0)
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                for tensor, low, high in (
                    (part.running_mean, -0.3, 0.3),
                    (part.running_var, 0.5, 2.0),
                    (part.weight.data, 0.5, 1.5),
                    (part.bias.data, -0.3, 0.3),
                ):
                    assert tensor is not None
                    tensor.uniform_(low, high, generator=generator)
        return module.eval().requires_grad_(False)

    return randomise
