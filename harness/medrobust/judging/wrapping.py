"""What is put around a network so that it takes images in [0, 1] and its outputs follow the classes."""

from __future__ import annotations

import copy
import io
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def copy_of(module: nn.Module) -> nn.Module:
    """A copy on the CPU, frozen, in evaluation mode and float32; the network itself is left as it is."""
    if isinstance(module, torch.jit.ScriptModule):
        written = io.BytesIO()
        torch.jit.save(module, written)
        written.seek(0)
        return Steady(torch.jit.load(written, map_location="cpu").eval()).float()
    return copy.deepcopy(module).requires_grad_(False).cpu().float().eval()


class Scaled(nn.Module):
    """(x - mean) / deviation per channel, for a network that is given normalised images."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, module: nn.Module, mean: Sequence[float], deviation: Sequence[float]) -> None:
        super().__init__()
        self.module = module
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.module((images - self.mean) / self.deviation)
        return logits


class Repeated(nn.Module):
    """Grey images for a network of three channels."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.module(images.expand(-1, 3, -1, -1))
        return logits


class Paired(nn.Module):
    """Two outputs for a network with one, which speaks for the second of two classes: the first class has 0."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> Tensor:
        logit: Tensor = self.module(images)
        return torch.cat([torch.zeros_like(logit), logit], dim=1)


class Reordered(nn.Module):
    """Outputs in the order of the classes: class c is the network's output `order[c]`."""

    def __init__(self, module: nn.Module, order: Sequence[int]) -> None:
        super().__init__()
        self.module = module
        self.order = tuple(order)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.module(images)
        return logits[:, list(self.order)]


class Steady(nn.Module):
    """A program whose mode cannot be changed: an exported one, or TorchScript."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        for parameter in program.parameters():
            # A copy of a program whose weights want gradients cannot be frozen any more.
            parameter.requires_grad_(False)
        self.program = program

    def train(self, mode: bool = True) -> Steady:
        self.training = mode
        return self

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.program(images)
        return logits
