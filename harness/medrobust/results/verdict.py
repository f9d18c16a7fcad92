"""The host's verdict on adversarial images: what a plugin returns is checked, never trusted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..contracts import Budget
from ..errors import PluginError

Status = Literal["ok", "invalid", "failed", "skipped"]

TOLERANCE = 1e-6
"""Absolute tolerance of box and norm, in pixel units: a few units in the last place of float32 arithmetic."""


@dataclass(frozen=True)
class Norms:
    """Realised norms per image (n,), pixels in [0, 1].

    Attributes:
        l2, linf: of every image.
        l1, l0: of budgets that are about them, and of those that bound nothing; l0 counts the values that changed.
    """

    l2: Tensor
    linf: Tensor
    l1: Tensor | None = None
    l0: Tensor | None = None

    def of(self, norm: str) -> Tensor:
        """One norm, which must have been measured."""
        found: Tensor | None = getattr(self, norm)
        assert found is not None
        return found

    def _map(self, change: Callable[[Tensor], Tensor]) -> Norms:
        kept = (change(each) if each is not None else None for each in (self.l1, self.l0))
        return Norms(change(self.l2), change(self.linf), *kept)

    def only(self, rows: Tensor) -> Norms:
        """Those of some images."""
        return self._map(lambda norm: norm[rows])

    def kept(self) -> Norms:
        """As they are kept in a record: float32, in main memory."""
        return self._map(lambda norm: norm.float().cpu())

    def spread(self, places: Tensor, count: int) -> Norms:
        """Those of `count` images, of which these are the ones at `places`; the others have none (not a number)."""

        def spread(norm: Tensor) -> Tensor:
            whole = torch.full((count,), torch.nan)
            whole[places] = norm
            return whole

        return self._map(spread)

    def columns(self) -> dict[str, NDArray[np.float32]]:
        """Those that were measured, by name."""
        found = {name: getattr(self, name) for name in ("l2", "linf", "l1", "l0")}
        return {name: norm.numpy() for name, norm in found.items() if norm is not None}

    @staticmethod
    def joined(parts: Sequence[Norms]) -> Norms:
        """Those of several batches, in order."""
        each = [[getattr(part, name) for part in parts] for name in ("l2", "linf", "l1", "l0")]
        return Norms(*(None if norm[0] is None else torch.cat(norm) for norm in each))  # type: ignore[arg-type]


class InvalidImagesError(PluginError):
    """What an attack returned violates its budget or the contract; the message says which rule, and by how much."""


@dataclass(frozen=True)
class Verified:
    """Adversarial images that passed the checks: float32 (n, c, h, w), with their realised norms."""

    images: Tensor
    norms: Norms


def canonical(tensor: Tensor) -> Tensor:
    """The same values with the strides of a fresh tensor.

    Convolutions choose their arithmetic by strides, even by those of axes of length one; so equal pixels give equal
    logits, to the last bit.
    """
    return tensor.reshape(-1).view(tensor.shape)


def verify(adversarial: object, images: Tensor, budget: Budget, what: str = "image") -> Verified:
    """Check what an attack returned: type, shape, dtype, finiteness, box and norm; `what` each of them is called.

    Raises:
        InvalidImagesError: naming the rule.
    """
    if fault := form_fault(adversarial, images):
        raise InvalidImagesError(fault)
    assert isinstance(adversarial, Tensor)
    adversarial = canonical(adversarial.detach())
    measured = norms(images, adversarial, budget.norm)
    if fault := budget_fault(adversarial, images, measured, budget, what):
        raise InvalidImagesError(fault)
    return Verified(adversarial, measured)


def norms(images: Tensor, adversarial: Tensor, norm: str) -> Norms:
    """Norms of the perturbation, computed in float64 where they are sums; `norm` is that of the budget."""
    delta = (adversarial.double() - images.double()).flatten(1)
    l1 = delta.abs().sum(dim=1) if norm in ("l1", "unbounded") else None
    l0 = (delta != 0).sum(dim=1).double() if norm in ("l0", "unbounded") else None
    return Norms(delta.norm(dim=1), delta.abs().amax(dim=1), l1, l0)


def form_fault(adversarial: Any, images: Tensor) -> str | None:
    """What is wrong with the form of an attack's return value: type, shape, dtype or finiteness. None if nothing."""
    if not isinstance(adversarial, Tensor):
        return f"the attack returned {type(adversarial).__name__}, not a tensor"
    if adversarial.shape != images.shape:
        return f"the attack returned shape {tuple(adversarial.shape)} for images of shape {tuple(images.shape)}"
    if adversarial.dtype != images.dtype:
        return f"the attack returned {adversarial.dtype}, not {images.dtype}"
    if not torch.isfinite(adversarial).all():
        bad = int((~torch.isfinite(adversarial)).flatten(1).any(dim=1).sum())
        return f"the attack returned NaN or infinite pixels in {bad} of {len(images)} images"
    return None


def budget_fault(
    adversarial: Tensor, images: Tensor, measured: Norms, budget: Budget, what: str = "image"
) -> str | None:
    """Which images leave box or budget, with the worst value. None if none does."""
    if budget.box is not None:
        # An image may already lie outside the box of a data set's own making; only what the attack added counts.
        low = images.flatten(1).amin(dim=1).clamp(max=budget.box[0]) - TOLERANCE
        high = images.flatten(1).amax(dim=1).clamp(min=budget.box[1]) + TOLERANCE
        flat = adversarial.flatten(1)
        outside = (flat.amin(dim=1) < low) | (flat.amax(dim=1) > high)
        if outside.any():
            return (
                f"{_leaving(outside, what)} the box [{budget.box[0]:g}, {budget.box[1]:g}]: "
                f"pixels from {float(flat.min()):.6g} to {float(flat.max()):.6g}"
            )
    if budget.eps is not None:
        allowed = budget.eps * (1 + 1e-5) + TOLERANCE + _slack(budget, images)
        bounded = measured.of(budget.norm)
        beyond = bounded > allowed
        if beyond.any():
            return (
                f"{_leaving(beyond, what)} the budget: {budget.norm} up to "
                f"{float(bounded.max()):.6g}, allowed {budget.eps:.6g}"
            )
    return None


def _leaving(those: Tensor, what: str) -> str:
    return f"{int(those.sum())} of {len(those)} {what}s leave" if len(those) > 1 else f"the {what} leaves"


def _slack(budget: Budget, images: Tensor) -> float:
    """The declared slack per pixel, as a length of the budget's norm."""
    pixels = images[0].numel()
    return budget.slack * {"linf": 1.0, "l2": math.sqrt(pixels), "l1": float(pixels), "l0": 0.0}[budget.norm]


def logits_fault(logits: Tensor, images: int, outputs: int) -> str | None:
    """What is wrong with the logits of a model. None if nothing."""
    if logits.shape != (images, outputs):
        return f"the model returned shape {tuple(logits.shape)}, expected {(images, outputs)}"
    if not torch.isfinite(logits).all():
        return "the model returned NaN or infinite logits"
    return None
