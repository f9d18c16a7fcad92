"""Batch norms that no convolution can take in, as the affine maps they are once a network is evaluated."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FrozenBatchNorm(nn.Module):
    """An evaluated batch norm: a scale and a shift for each channel.

    Its backward pass needs the scale alone, where a batch norm keeps its whole input: in networks that normalise before
    they convolve (DenseNet), a sixth of the memory of a pass.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = torch.rsqrt(norm.running_var + norm.eps)
        scale = scale if norm.weight is None else scale * norm.weight.detach()
        shift = -norm.running_mean * scale
        shift = shift if norm.bias is None else shift + norm.bias.detach()
        self.register_buffer("scale", scale.view(1, -1, 1, 1))
        self.register_buffer("shift", shift.view(1, -1, 1, 1))

    def forward(self, values: Tensor) -> Tensor:
        return torch.addcmul(self.shift, values, self.scale)  # type: ignore[arg-type]


def with_frozen_batch_norms(module: nn.Module) -> bool:
    """Exchange batch norms with running statistics inside `module`, in place; whether there were any."""
    found = False
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d and child.running_mean is not None and child.running_var is not None:
            setattr(module, name, FrozenBatchNorm(child))
            found = True
        else:
            found |= with_frozen_batch_norms(child)
    return found
