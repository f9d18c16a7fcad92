"""The version of the plugin contract, and what has changed with each; nothing here imports torch.

A module of plugins may declare the version that it was written for, `MEDROBUST_CONTRACT = 1`. It is read from the
source before the module is imported, so that the answer to a plugin of another time is what has changed, and no error
out of the middle of it. What is undeclared counts as of today.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CONTRACT: Final = 1
"""Raised by whatever makes a plugin that works fail, or mean something else; by nothing that is only added."""
OLDEST: Final = 1
"""The oldest version whose plugins still load: the last one but this, where that can be."""
CHANGES: Final[Mapping[int, str]] = {1: "the first version"}
"""What is different since each version, in one sentence that says what to write instead."""
DECLARATION: Final = "MEDROBUST_CONTRACT"
"""Name of the variable in a module of plugins."""


def changes_since(version: int) -> str:
    """What has changed after a version, or nothing: `Since version 1: 2: ...; 3: ....`"""
    later = [f"{number}: {text}" for number, text in sorted(CHANGES.items()) if number > version]
    return f"Since version {version}: {'; '.join(later)}." if later else ""


def unsuited(version: object) -> tuple[str, str] | None:
    """Why plugins of a declared version cannot be loaded, and the remedy; None if they can."""
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        return f"{DECLARATION} is {version!r}", f"Write the version as a number; this medrobust has {CONTRACT}."
    if version > CONTRACT:
        cause = f"was written for version {version} of the plugin contract, and this medrobust has version {CONTRACT}"
        return cause, "Update medrobust (pip install -U medrobust)."
    if version < OLDEST:
        cause = f"was written for version {version} of the plugin contract, of which this medrobust takes {_taken()}"
        return cause, f"{changes_since(version)} Update it, or report it to its authors."
    return None


def _taken() -> str:
    return f"version {CONTRACT} alone" if OLDEST == CONTRACT else f"versions {OLDEST} to {CONTRACT}"
