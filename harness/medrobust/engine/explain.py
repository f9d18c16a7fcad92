"""Why something failed, for people."""

from __future__ import annotations

from ..errors import MedrobustError
from ..plugins.tracebacks import own_line, show


def explain(error: BaseException, what: str) -> str:
    """Why a cell failed, for its record: people's errors as they are, others with the line of the plugin's own code.

    The traceback is printed where it is wanted (`--debug`).
    """
    show(error)
    if isinstance(error, MedrobustError):
        return str(error)
    line = own_line(error)
    return f"{what} raised {type(error).__name__}: {' '.join(str(error).split())[:300]}" + (
        f" at {line}" if line else ""
    )
