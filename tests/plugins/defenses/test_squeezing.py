"""Bit-depth reduction: levels, values, and the absence of a gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from medrobust_defenses import BitDepth

RAMP = torch.linspace(0, 1, 1001).view(1, 1, 1, -1)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_it_leaves_as_many_levels_as_bits_allow(bits: int) -> None:
    squeezed = BitDepth(bits).wrap(nn.Identity())(RAMP)
    levels = squeezed.unique()
    assert len(levels) == 2**bits
    assert (float(levels[0]), float(levels[-1])) == (0.0, 1.0)
    assert float((squeezed - RAMP).abs().max()) <= 0.5 / (2**bits - 1) + 1e-6


def test_eight_bits_leave_an_eight_bit_image_alone() -> None:
    image = (torch.arange(256) / 255).view(1, 1, 16, 16)
    torch.testing.assert_close(BitDepth(8).wrap(nn.Identity())(image), image, atol=1e-6, rtol=0)


def test_squeezing_twice_is_squeezing_once() -> None:
    once = BitDepth(3).wrap(nn.Identity())(RAMP)
    assert torch.equal(BitDepth(3).wrap(nn.Identity())(once), once)


def test_no_gradient_passes() -> None:
    leaf = RAMP.clone().requires_grad_(True)
    BitDepth(4).wrap(nn.Identity())(leaf).sum().backward()
    assert leaf.grad is not None
    assert not leaf.grad.any()
