"""Preparing a trained model for attacks: the same function, computed faster.

No result depends on it: the verdict on adversarial images is that of the original module in float32.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ...contracts import Arithmetic
from ..acceleration import Acceleration
from .first_conv import with_fast_first_convolutions
from .frozen_norm import with_frozen_batch_norms
from .random_models import RandomInput

AGREEMENT = 1e-3
"""Largest difference of logits, relative to their size, at which a prepared model counts as the same function."""


@dataclass(frozen=True)
class Prepared:
    """A module to craft with, and how to call it."""

    module: nn.Module
    memory_format: torch.memory_format
    autocast: torch.dtype | None


def prepare(
    module: nn.Module, device: str, acceleration: Acceleration, sample: Tensor, arithmetic: Arithmetic = "float32"
) -> Prepared:
    """The module to craft with.

    Args:
        module: the trained module, frozen, in evaluation mode, on `device`; it is left as it is.
        device: where it runs.
        acceleration: which parts to use; a part that does not apply to this module is left out.
        sample: a few images (n, c, h, w) on which the folded module must agree with the original.
        arithmetic: `bfloat16` computes by torch's automatic mixed precision, emulated where the hardware lacks it.
    """
    prepared = module
    if acceleration.fold:
        prepared = _folded(module, sample)
    memory_format = torch.channels_last if acceleration.channels_last else torch.contiguous_format
    if prepared is module and (acceleration.channels_last or acceleration.first_conv):
        prepared = copy.deepcopy(module)
    if acceleration.first_conv and not device.startswith("cuda"):
        with_fast_first_convolutions(prepared)
    if acceleration.channels_last:
        prepared = prepared.to(memory_format=torch.channels_last)
    autocast = torch.bfloat16 if arithmetic == "bfloat16" else None
    if acceleration.compile:
        prepared = torch.compile(prepared)  # type: ignore[assignment]
    return Prepared(prepared, memory_format, autocast)


def _folded(module: nn.Module, sample: Tensor) -> nn.Module:
    """The module with its batch norms folded, or itself where that is not the same function.

    Of a random model only what stands behind its random transformation is folded: traced, its numbers would become
    constants.
    """
    if isinstance(module, RandomInput):
        inner = _folded(module.inner, sample)
        return module if inner is module.inner else RandomInput(module.defense, inner)
    folded = fold_batch_norms(module)
    return folded if folded is not None and agree(folded, module, sample) else module


def agree(candidate: nn.Module, original: nn.Module, sample: Tensor) -> bool:
    """Whether two modules compute the same function on a sample, to float32 rounding."""
    with torch.no_grad():
        try:
            first, second = candidate(sample), original(sample)
        except Exception:  # noqa: BLE001 - whatever tracing got wrong, the original is there
            return False
    if first.shape != second.shape or not torch.isfinite(second).all():
        return False
    return bool((first - second).abs().max() <= AGREEMENT * second.abs().max().clamp_min(1.0))


def fold_batch_norms(module: nn.Module) -> nn.Module | None:
    """A copy with batch norms folded into the convolutions before them, or None where the module cannot be traced.

    The batch norm of an evaluated network is affine, so the fold is exact up to rounding (Jacob et al., 2018, 3.2).
    """
    try:
        graph = fx.symbolic_trace(copy.deepcopy(module))
    except Exception:  # noqa: BLE001 - control flow that depends on values; such a model keeps its batch norms
        return None
    modules = dict(graph.named_modules())
    for node in list(graph.graph.nodes):
        if node.op != "call_module" or not isinstance(modules[node.target], nn.BatchNorm2d):
            continue
        before = node.args[0]
        if before.op != "call_module" or len(before.users) > 1:
            continue
        convolution = modules[before.target]
        if not isinstance(convolution, nn.Conv2d):
            continue
        parent, _, name = before.target.rpartition(".")
        try:
            fused = fuse_conv_bn_eval(convolution, modules[node.target])
        except Exception:  # noqa: BLE001 - no running statistics, or a convolution with computed weights: both stay
            continue
        modules[before.target] = fused
        setattr(graph.get_submodule(parent), name, fused)
        node.replace_all_uses_with(before)
        graph.graph.erase_node(node)
    graph.recompile()
    graph.delete_all_unused_submodules()
    with_frozen_batch_norms(graph)
    return graph.eval().requires_grad_(False)
