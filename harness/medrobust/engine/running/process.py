"""How libraries behave in a process that computes on a CPU: they keep freed memory, and the kernels they have made."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

from ..numerics import LIBRARY_SWITCHES

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Numbers of glibc's mallopt(3)."""

_LARGEST_KEPT = 32 * 2**20
"""Bytes of the largest block that comes from the heap; glibc takes no larger value."""
_KEPT = 2**30
"""Bytes of free memory that stay with the process."""
_STEP = 64 * 2**20
"""Bytes by which the heap grows."""


KERNELS = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
"""What oneDNN reads once, at its first kernel."""


def set_up() -> None:
    """Prepare this process for many passes on its CPU."""
    keep_freed_memory()
    os.environ.update(LIBRARY_SWITCHES)
    # A kernel belongs to a layer and a batch size. A network of a hundred layers at a few sizes, as an early stop meets
    # them, is more than oneDNN's usual thousand, so that each pass would make its kernels again: half of its time.
    os.environ.setdefault(KERNELS, "16384")


@cache
def keep_freed_memory() -> bool:
    """Let this process keep memory that it frees; whether the C library could be told so.

    Torch has no cache of its own on a CPU. Each output of a layer then comes fresh from the kernel, which clears its
    pages one by one and takes them back soon after: a fifth of the time of a small network's gradients. A user's own
    settings (MALLOC_TRIM_THRESHOLD_ and the like) are left alone.
    """
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    settings = ((_MMAP_THRESHOLD, _LARGEST_KEPT), (_TRIM_THRESHOLD, _KEPT), (_TOP_PAD, _STEP))
    accepted = [mallopt(ctypes.c_int(name), ctypes.c_int(value)) for name, value in settings]
    return all(accepted)
