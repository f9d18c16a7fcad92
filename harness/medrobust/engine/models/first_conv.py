"""Input gradients of convolutions on few channels, computed as a convolution forward.

The convolution that sees the image has three input channels or one. Libraries compute its input gradient with kernels
made for many, which takes several times as long as its forward pass: up to a quarter of a small network's step.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW = 4
"""Input channels up to which this is faster."""


def with_fast_first_convolutions(module: nn.Module) -> bool:
    """Exchange convolutions on few channels inside `module`, in place; whether there were any."""
    found = False
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d) and _fits(child):
            setattr(module, name, FewChannelConvolution(child))
            found = True
        else:
            found |= with_fast_first_convolutions(child)
    return found


def _fits(convolution: nn.Conv2d) -> bool:
    kernel, padding = convolution.kernel_size, convolution.padding
    return (
        convolution.in_channels <= FEW
        and convolution.groups == 1
        and convolution.dilation == (1, 1)
        and convolution.padding_mode == "zeros"
        and not isinstance(padding, str)
        and convolution.stride[0] == convolution.stride[1]
        and all(p < k for k, p in zip(kernel, padding, strict=True))
        and kernel != (1, 1)
    )


class FewChannelConvolution(nn.Module):
    """The same convolution with frozen weights and a faster input gradient."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        assert not isinstance(convolution.padding, str)
        self.stride = convolution.stride[0]
        self.padding: tuple[int, ...] = convolution.padding
        self.register_buffer("weight", convolution.weight.detach())
        self.register_buffer("bias", None if convolution.bias is None else convolution.bias.detach())
        self.register_buffer("backward_weight", phases(convolution.weight.detach(), self.stride, self.padding))

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = _Convolve.apply(
            images, self.weight, self.bias, self.backward_weight, self.stride, self.padding
        )
        return result


def _reach(kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """First and last output position, relative to that of its block of `stride` pixels, that a pixel has part in."""
    return -((kernel - 1 - padding) // stride), (stride - 1 + padding) // stride


def phases(weight: Tensor, stride: int, padding: tuple[int, ...]) -> Tensor:
    """Weights (stride^2 * c, o, h', w') with which a convolution of the output gradient gives the input gradient.

    Pixels at the same place within a block of stride x stride are one output channel; they see the outputs around the
    block through the same weights.

    Args:
        weight: of the convolution (o, c, h, w).
        stride: of the convolution, the same in both directions.
        padding: of the convolution.
    """
    outputs, channels, height, width = weight.shape
    top, bottom = _reach(height, stride, padding[0])
    left, right = _reach(width, stride, padding[1])
    made = weight.new_zeros(stride, stride, channels, outputs, bottom - top + 1, right - left + 1)
    for row in range(stride):
        for down in range(top, bottom + 1):
            y = row + padding[0] - stride * down
            if not 0 <= y < height:
                continue
            for column in range(stride):
                for across in range(left, right + 1):
                    x = column + padding[1] - stride * across
                    if 0 <= x < width:
                        made[row, column, :, :, down - top, across - left] = weight[:, :, y, x].t()
    return made.flatten(0, 2)


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        backward_weight: Tensor,
        stride: int,
        padding: tuple[int, ...],
    ) -> Tensor:
        ctx.save_for_backward(backward_weight)
        ctx.geometry = images.shape, images.dtype, weight.shape[2:], stride, padding
        return F.conv2d(images, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (backward_weight,) = ctx.saved_tensors
        shape, dtype, kernel, stride, padding = ctx.geometry
        gradient = gradients[0]
        pad: list[int] = []
        for axis in (1, 0):  # F.pad begins with the last axis
            first, last = _reach(kernel[axis], stride, padding[axis])
            blocks = -(-shape[2 + axis] // stride)
            pad += [-first, blocks - gradient.shape[2 + axis] + last]
        padded = F.pad(gradient, pad)
        found = _spread(F.conv2d(padded, backward_weight.to(gradient.dtype)), stride)
        return found[:, :, : shape[2], : shape[3]].to(dtype), None, None, None, None, None


def _spread(blocks: Tensor, stride: int) -> Tensor:
    """(n, stride^2 * c, h, w) to (n, c, h * stride, w * stride), channels last: a row of a block stays in one piece."""
    n, channels, height, width = blocks.shape
    rows = blocks.permute(0, 2, 3, 1).reshape(n, height, width, stride, channels // stride)
    spread = rows.transpose(2, 3).reshape(n, height * stride, width * stride, -1)
    return spread.permute(0, 3, 1, 2)
