"""Input layers: from pixels in [0, 1] to what a network was made for. A model owns its normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from medrobust import ModelError, Shape

Dropout = Annotated[float, Field(ge=0, lt=1)]
"""Share of the inputs of a layer that training leaves out."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Centre(nn.Module):
    """[0, 1] to [-1, 1]."""

    def forward(self, images: Tensor) -> Tensor:
        return images * 2 - 1


class Normalise(nn.Module):
    """(x - mean) / std per channel; one-channel images are repeated to as many channels as there are means."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        # Broadcasting repeats a single channel.
        return (images - self.mean) / self.std


def checked(module: nn.Module, name: str, shape: Shape) -> nn.Module:
    """The module, after one image of the given shape has passed through it.

    Raises:
        ModelError: in words, if the shape does not fit the architecture.
    """
    if shape.channels not in (1, 3):
        raise ModelError(f"{name} takes 1 or 3 channels, not {shape.channels}")
    training = module.training
    try:
        with torch.no_grad():
            module.eval()(torch.zeros(1, shape.channels, shape.height, shape.width))
    except (RuntimeError, AssertionError, ValueError) as error:
        size = f"{shape.height}x{shape.width}"
        raise ModelError(f"{name} cannot take images of {size}: {str(error).splitlines()[0]}") from None
    finally:
        module.train(training)
    return module
