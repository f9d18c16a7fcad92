"""Where in somebody's own code an error arose, and tracebacks for those who ask for them (`--debug`).

Most errors of plugins are raised inside a library: a wrong shape fails somewhere in torch. What helps their author is
the line of their own that led there.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

VARIABLE = "MEDROBUST_DEBUG"
"""Environment variable that `--debug` sets; worker processes inherit it."""


def debugging() -> bool:
    """Whether tracebacks are wanted."""
    return os.environ.get(VARIABLE, "") not in ("", "0")


def show(error: BaseException) -> None:
    """Print the traceback of an error on standard error, where tracebacks are wanted."""
    if debugging():
        sys.stderr.write("".join(traceback.format_exception(error)))
        sys.stderr.flush()


def own_line(error: BaseException) -> str:
    """`file.py:12`, the innermost line of an error's traceback in the code of a plugin or of its user.

    Lines of libraries, of Python and of medrobust itself are passed over, unless there are no others. Empty for an
    error that was never raised.
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return ""
    packages = frozenset(_plugin_packages())
    own = [(frame, line) for frame, line in frames if _is_own(frame, packages)]
    frame, line = (own or frames)[-1]
    return f"{Path(frame.f_code.co_filename).name}:{line}"


def _is_own(frame: FrameType, packages: frozenset[str]) -> bool:
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    if package == "medrobust":
        return False
    file = frame.f_code.co_filename
    return package in packages or not (file.startswith("<") or _in_library(file))


def _plugin_packages() -> Iterator[str]:
    """Top-level packages that define plugins; installed ones stand among the libraries, and are not meant by these."""
    if "medrobust.contracts" not in sys.modules:  # nobody has defined a plugin yet
        return
    from ..contracts import Plugin

    waiting: list[type] = [Plugin]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        yield cls.__module__.partition(".")[0]


def _in_library(file: str) -> bool:
    path = Path(file)
    installed = not {"site-packages", "dist-packages"}.isdisjoint(path.parts)
    return installed or path.is_relative_to(sysconfig.get_path("stdlib"))
