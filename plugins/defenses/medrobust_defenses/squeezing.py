"""Feature squeezing: fewer grey levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor, nn

from medrobust import Preprocessing, Reference

from .references import XU


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
    references: ClassVar[tuple[Reference, ...]] = (XU,)
    bits: Annotated[int, Field(ge=1, le=8)] = 4

    def wrap(self, module: nn.Module) -> nn.Module:
        return _Quantise(self.bits, module)
