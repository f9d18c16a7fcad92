"""Entry points of what is installed, and what the environment says of them.

Read at every start, also of `medrobust --help`, so nothing here imports torch.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final

OWN: Final = "medrobust"
"""The distribution whose plugins and commands are bundled."""
DISABLED: Final = "MEDROBUST_DISABLE_PLUGINS"
"""Environment variable that leaves out what other distributions offer."""
STRICT: Final = "MEDROBUST_STRICT"
"""Environment variable that `--strict` sets; worker processes inherit it."""


@dataclass(frozen=True)
class Door:
    """An entry point of a group, with where it comes from.

    Attributes:
        distribution: name of the distribution.
        version: its version.
        point: the entry point.
    """

    distribution: str
    version: str
    point: EntryPoint

    def __str__(self) -> str:
        return f"entry point '{self.point.name}' ({self.point.value})"


def doors(group: str) -> list[Door]:
    """The entry points of a group, bundled ones first; of two that claim one thing, the later one is left out."""
    own_only = _is_set(DISABLED)
    found = [_door(point) for point in entry_points(group=group)]
    return sorted(
        (door for door in found if door.distribution == OWN or not own_only),
        key=lambda d: (d.distribution != OWN, d.distribution, d.point.name),
    )


def strictly() -> bool:
    """Whether the first thing that cannot be loaded ends the program."""
    return _is_set(STRICT)


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "") not in ("", "0")


def _door(point: EntryPoint) -> Door:
    """An entry point; of a half-removed distribution, name and version may be gone."""
    try:
        metadata = point.dist.metadata if point.dist else None
    except FileNotFoundError:  # what the package importlib_metadata raises, which may stand in for Python's own
        metadata = None
    name, version = (metadata[key] if metadata is not None and key in metadata else "" for key in ("Name", "Version"))
    return Door(name or "unknown", version or "?", point)
