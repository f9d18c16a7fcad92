"""The host's verdict on adversarial images: what a plugin returns is checked, never trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ..contracts import Budget
from ..errors import PluginError

Status = Literal["ok", "invalid", "failed", "skipped"]

TOLERANCE = 1e-6
"""Absolute tolerance of box and norm, in pixel units: a few units in the last place of float32 arithmetic."""


@dataclass(frozen=True)
class Norms:
    """Realised norms per image (n,), pixels in [0, 1]."""

    l2: Tensor
    linf: Tensor
    bounded: Tensor
    """The norm that the budget bounds."""

    def only(self, rows: Tensor) -> Norms:
        """Those of some images."""
        return Norms(self.l2[rows], self.linf[rows], self.bounded[rows])


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
    """Norms of the perturbation, computed in float64 where they are sums."""
    delta = (adversarial.double() - images.double()).flatten(1)
    l2, linf = delta.norm(dim=1), delta.abs().amax(dim=1)
    bounded = {"linf": linf, "l2": l2}.get(norm)
    if bounded is None:
        bounded = delta.abs().sum(dim=1) if norm == "l1" else (delta != 0).sum(dim=1).double()
    return Norms(l2, linf, bounded)


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
        beyond = measured.bounded > allowed
        if beyond.any():
            return (
                f"{_leaving(beyond, what)} the budget: {budget.norm} up to "
                f"{float(measured.bounded.max()):.6g}, allowed {budget.eps:.6g}"
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
