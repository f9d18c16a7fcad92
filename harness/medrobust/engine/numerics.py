"""What the arithmetic of a process depends on: float32 is IEEE float32, and global generators are seeded."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

LIBRARY_SWITCHES = {"ONEDNN_DEFAULT_FPMATH_MODE": "STRICT", "NVIDIA_TF32_OVERRIDE": "0"}
"""Environment variables by which libraries replace float32 by something coarser, with the values that forbid it. They
are read once, when a library computes for the first time."""


def _switches() -> list[tuple[Any, str, object]]:
    """Where torch may replace float32 by TF32 or bfloat16: owner, attribute, and the value that forbids it."""
    b: Any = torch.backends
    if hasattr(b, "fp32_precision"):
        owners = (b, b.cuda.matmul, b.cudnn, b.cudnn.conv, b.cudnn.rnn, b.mkldnn, b.mkldnn.matmul, b.mkldnn.conv)
        return [(owner, "fp32_precision", "ieee") for owner in (*owners, b.mkldnn.rnn)]
    return [(b.cuda.matmul, "allow_tf32", False), (b.cudnn, "allow_tf32", False)]


@contextmanager
def ieee_float32() -> Iterator[None]:
    """Compute in IEEE float32 wherever float32 is asked for; the caller's own settings come back at the end."""
    switches = _switches()
    before = [getattr(owner, name) for owner, name, _ in switches]
    legacy = None if hasattr(torch.backends, "fp32_precision") else torch.get_float32_matmul_precision()
    try:
        for owner, name, value in switches:
            setattr(owner, name, value)
        if legacy is not None:
            torch.set_float32_matmul_precision("highest")
        yield
    finally:
        if legacy is not None:
            torch.set_float32_matmul_precision(legacy)
        for (owner, name, _), value in zip(switches, before, strict=True):
            setattr(owner, name, value)


def float32_is_ieee() -> bool:
    """Whether torch's own switches and the libraries' environment leave float32 as it is."""
    exact = all(getattr(owner, name) == value for owner, name, value in _switches())
    return exact and all(os.environ.get(name) == value for name, value in LIBRARY_SWITCHES.items())


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed the global generators of torch, numpy and random; they go on afterwards as if nothing had been drawn."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 - the global one is meant
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)
