"""What a file system refuses, in words: what cannot be written, why, and what would help."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from ..errors import PlaceError

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_LOCKED = (errno.EROFS, errno.EACCES, errno.EPERM)
OF_PLACES = (*_FULL, *_LOCKED, errno.EIO, getattr(errno, "ESTALE", errno.EIO))
"""Errors that say something of a disk or a folder, whatever is done there."""


def refused(file: Path, error: OSError, otherwise: str) -> PlaceError:
    """The error for a file that cannot be written.

    Args:
        file: what was to be written, or its folder.
        error: what the system said.
        otherwise: what to do if the place cannot be mended, such as `choose another --store`.
    """
    said = error.strerror or str(error)
    if error.errno in _FULL:
        advice = f"free space there{_room(file) if error.errno == errno.ENOSPC else ''}, or {otherwise}"
    elif error.errno in _LOCKED:
        advice = f"permit writing there, or {otherwise}"
    else:
        advice = f"see whether its disk is there, or {otherwise}"
    return PlaceError(f"{file}: cannot be written ({said}); {advice}")


def _room(file: Path) -> str:
    """How much is left on the disk of a file."""
    there = next((folder for folder in file.parents if folder.is_dir()), None)
    if there is None:
        return ""
    usage = shutil.disk_usage(there)
    return f" ({_size(usage.free)} of {_size(usage.total)} left)"


def _size(count: int) -> str:
    for power, unit in ((30, "GB"), (20, "MB"), (10, "kB")):
        if count >= 2**power:
            return f"{count / 2**power:.1f} {unit}"
    return f"{count} B"
