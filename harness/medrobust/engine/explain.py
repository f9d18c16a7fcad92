"""Why something failed, for people."""

from __future__ import annotations

import traceback

from ..errors import MedrobustError


def explain(error: BaseException, what: str) -> str:
    """Why a cell failed, for its record: people's errors as they are, others with the line they came from."""
    if isinstance(error, MedrobustError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    return f"{what} raised {type(error).__name__}: {' '.join(str(error).split())[:300]}{place}"
