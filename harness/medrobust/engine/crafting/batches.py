"""Batches: how large they are, and what happens where memory does not suffice for one."""

from __future__ import annotations

import torch

CACHE_BYTES = 32 * 2**20
"""Activations of a batch on a CPU: about what a last-level cache holds; larger batches wait for memory."""
USUAL = 32
"""Images a batch on a CPU even where their activations leave its cache: every pass has a cost of its own, which grows
with the number of layers (DenseNet-121 at 64 pixels: as much as ten images)."""
USUAL_BYTES = 2**30
"""Activations of a batch on a CPU at most, above the least batch."""
DEVICE_BYTES = 2 * 2**30
"""Activations of a batch on a GPU: enough to fill it, far below its memory."""


def batch_size_for(activation_bytes: int, device: str) -> int:
    """Images a batch: a power of two whose activations fit; from the model alone, so equal plans use equal batches.

    Args:
        activation_bytes: what a forward pass keeps of one image.
        device: a CPU's batches fit its cache or are of usual size, a GPU's fill it.
    """
    if device.startswith("cuda"):
        return max(8, min(1024, _fitting(DEVICE_BYTES, activation_bytes)))
    in_cache = min(256, _fitting(CACHE_BYTES, activation_bytes))
    return max(8, in_cache, min(USUAL, _fitting(USUAL_BYTES, activation_bytes)))


def _fitting(limit: int, activation_bytes: int) -> int:
    """The largest power of two of images whose activations fit."""
    return 1 << (max(1, limit // max(activation_bytes, 1)).bit_length() - 1)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a batch was too large."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
