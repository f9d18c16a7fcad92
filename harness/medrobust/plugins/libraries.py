"""The installed libraries that plugins name, whose versions belong to the identity of their results."""

from __future__ import annotations

import importlib.metadata
from functools import cache

from ..contracts import Plugin


def libraries_of(plugin: type[Plugin]) -> list[str]:
    """Distributions that a plugin class and its bases name, in order."""
    return sorted({name for cls in plugin.__mro__ for name in vars(cls).get("libraries", ())})


@cache
def library_version(name: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def missing_libraries(plugin: type[Plugin]) -> list[str]:
    """Distributions that a plugin names and that are not installed."""
    return [name for name in libraries_of(plugin) if library_version(name) is None]
