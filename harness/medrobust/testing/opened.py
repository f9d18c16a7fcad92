"""Which files code opens while it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_watching: list[set[Path]] = []
_CODE: Final = (".py", ".pyc", ".so", ".pyd", ".dll")


@contextmanager
def opened_files() -> Iterator[set[Path]]:
    """Files that are opened for reading meanwhile, other than code and what the system has."""
    if not _hooked:
        sys.addaudithook(_note)
        _hooked.append(True)
    found: set[Path] = set()
    _watching.append(found)
    try:
        yield found
    finally:
        _watching.remove(found)


_hooked: list[bool] = []
"""Whether the hook is there: it cannot be taken away again."""


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not _watching or not isinstance(arguments[0], str | bytes | Path):
        return
    path = Path(arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0])
    mode = str(arguments[1] or "r")
    own = "site-packages" in path.parts or str(path).startswith((sys.base_prefix, sys.prefix, "/proc", "/sys", "/dev"))
    if "w" in mode or path.suffix in _CODE or own or not path.is_file():
        return
    for found in _watching:
        found.add(path.absolute())
