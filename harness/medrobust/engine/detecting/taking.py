"""What a model and its layers say of images, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...contracts import Features, predictions
from ...errors import PluginError
from ...results.verdict import logits_fault
from ..crafting.batches import batch_size_for
from ..data import LoadedPart
from ..models.classifier import activation_bytes
from ..models.layers import output_of, watched


def pooled(features: Tensor) -> Tensor:
    """The output of a layer as (n, width): of maps (n, c, h, w), the means over positions."""
    return features if features.ndim == 2 else features.reshape(*features.shape[:2], -1).mean(dim=2)


@dataclass(frozen=True)
class Seen:
    """Logits (n, outputs) and features of some images, on the CPU.

    Attributes:
        logits: float32.
        layers: pooled outputs by layer, float32 (n, width).
    """

    logits: Tensor
    layers: Mapping[str, Tensor]

    @property
    def features(self) -> Features:
        """As a detector is given them."""
        arrays = {name: values.numpy() for name, values in self.layers.items()}
        return Features(arrays, predictions(self.logits).numpy())

    @classmethod
    def joined(cls, each: Sequence[Seen]) -> Seen:
        """Batches one after the other."""
        layers = {name: torch.cat([one.layers[name] for one in each]) for name in each[0].layers}
        return cls(torch.cat([one.logits for one in each]), layers)

    def spread(self, positions: Tensor, count: int) -> Seen:
        """The same images at their places among `count`, with numbers that are none everywhere else."""

        def placed(values: Tensor) -> Tensor:
            whole = torch.full((count, *values.shape[1:]), torch.nan)
            whole[positions] = values
            return whole

        return Seen(placed(self.logits), {name: placed(values) for name, values in self.layers.items()})


@dataclass(frozen=True)
class Taker:
    """Takes logits and features in one pass of a model in evaluation mode, in float32."""

    module: nn.Module
    layers: tuple[str, ...]
    outputs: int

    def of(self, images: Tensor) -> Seen:
        """Of images on the module's device.

        Raises:
            PluginError: if logits or features are none, or not finite.
        """
        with torch.no_grad(), watched(self.module, self.layers) as kept:
            logits: Tensor = self.module(images.contiguous())
        if fault := logits_fault(logits, len(images), self.outputs):
            raise PluginError(fault)
        found = {name: pooled(output_of(kept, name, self.module)).float().cpu() for name in self.layers}
        for name, values in found.items():
            if len(values) != len(images) or not torch.isfinite(values).all():
                raise PluginError(f"layer '{name}' puts out no finite features of each of {len(images)} images")
        return Seen(logits.float().cpu(), found)

    def of_part(self, part: LoadedPart, device: str) -> Seen:
        """Of all images of a part, in its order."""
        size = batch_size_for(activation_bytes(self.module, part.sample(device, images=1)), device)
        starts = range(0, len(part), size)
        return Seen.joined([self.of(part.tensor(slice(start, start + size), device)) for start in starts])


def layers_of(detectors: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The layers that some detectors watch, each once."""
    return tuple(dict.fromkeys(name for watches in detectors for name in watches))


def rows_of(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The places at which a mask is true."""
    return np.flatnonzero(mask).astype(np.int64)
