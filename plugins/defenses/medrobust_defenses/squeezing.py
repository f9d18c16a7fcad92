"""Feature squeezing: fewer grey levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from medrobust import ModelError, Preprocessing


class _Quantise(nn.Module):
    """Rounds to the nearest of 2^bits levels in [0, 1]; its gradient is zero almost everywhere."""

    def __init__(self, bits: int, module: nn.Module) -> None:
        super().__init__()
        self.top = 2.0**bits - 1
        self.module = module

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.module((images * self.top).round() / self.top)
        return logits


@dataclass(frozen=True)
class BitDepth(Preprocessing):
    """Bit-depth reduction (Xu, Evans, Qi, "Feature squeezing", NDSS 2018).

    Rounding has no useful gradient, so gradient attacks fail although the model is not robust (gradient masking):
    evaluate it by transfer attacks (`surrogate = { defense = "none" }`).

    Attributes:
        bits: bits per channel, 1 to 8.
    """

    name: ClassVar[str] = "bit-depth"
    revision: ClassVar[int] = 1
    bits: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 8:
            raise ModelError(f"bit-depth: bits must be 1 to 8, got {self.bits}")

    def wrap(self, module: nn.Module) -> nn.Module:
        return _Quantise(self.bits, module)
