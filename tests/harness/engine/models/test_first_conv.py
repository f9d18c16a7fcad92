"""Input gradients of convolutions on few channels: those of torch, for every stride, kernel, padding and size."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from medrobust.engine.models.first_conv import FewChannelConvolution, with_fast_first_convolutions

pytestmark = pytest.mark.numerical


def gradient(module: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    leaf = images.clone().requires_grad_(True)
    output = module(leaf)
    (found,) = torch.autograd.grad((output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum(), leaf)
    return output.detach(), found


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel", [2, 3, 4, 7, (3, 5)])
@pytest.mark.parametrize("channels", [1, 3])
def test_gradients_equal_those_of_torch(stride, kernel, channels) -> None:
    height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    for padding, size in itertools.product(
        [(0, 0), (1, 1), (height - 1, width - 1), (1, 0)], [(9, 9), (10, 13), (16, 11)]
    ):
        plain = nn.Conv2d(channels, 5, kernel, stride, padding, bias=channels == 3).double()
        images = torch.rand(2, channels, *size, dtype=torch.float64)
        output, expected = gradient(plain, images)
        fast_output, found = gradient(FewChannelConvolution(plain), images)
        assert torch.equal(fast_output, output)
        assert torch.allclose(found, expected, atol=1e-12)


def test_only_convolutions_on_few_channels_are_exchanged() -> None:
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3)),
        nn.Conv2d(8, 8, 3),
        nn.Conv2d(3, 6, 3, groups=3),
        nn.Conv2d(3, 6, 3, dilation=2),
        nn.Conv2d(3, 6, 3, padding="same"),
        nn.Conv2d(3, 6, 1),
        nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect"),
    )
    assert with_fast_first_convolutions(net)
    assert isinstance(net[0][0], FewChannelConvolution)
    assert all(isinstance(m, nn.Conv2d) for m in list(net)[1:])
    assert not with_fast_first_convolutions(net)
