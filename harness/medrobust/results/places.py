"""Where stores are: a folder, or a URL that fsspec knows (`s3://bucket/store`)."""

from __future__ import annotations

import os
import re
from pathlib import Path

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)
"""A scheme of two letters or more: one letter is a drive. A path has lost one of the two slashes."""


class Url(type(Path())):  # type: ignore[misc]
    """A URL in the place of a path: its parts and its name are as a path's, its text is the URL."""

    def __str__(self) -> str:
        return str(super().__str__()).replace(":/", "://", 1)

    def absolute(self) -> Url:
        return self

    def resolve(self, strict: bool = False) -> Url:
        return self


def absolute(place: str | os.PathLike[str]) -> Path:
    """The place of a store that does not depend on the current folder; a URL is told by its scheme."""
    match = _URL.fullmatch(os.fspath(place))
    if match is None:
        return Path(place).absolute()
    scheme, rest = match.groups()
    if scheme == "file":
        return Path(f"/{rest}")
    return Url(f"{scheme}:/{rest.rstrip('/')}")


def folder_or_url(text: str) -> Path:
    """A place as a user typed it; messages then show a URL as one."""
    return absolute(text) if _URL.fullmatch(text) else Path(text)


def local_folder(place: Path, name: str) -> Path:
    """A folder of this machine for what is written beside records: in the store, or here if that is at a URL."""
    return Path(f"{place.name}-{name}") if isinstance(place, Url) else place / name


def shown_place(place: Path) -> str:
    """A place as one would type it here."""
    return str(place) if isinstance(place, Url) else os.path.relpath(place)
