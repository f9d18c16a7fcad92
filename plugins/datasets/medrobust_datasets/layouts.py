"""Folders as publishers lay them out."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from medrobust import DataError, DataUnavailable

from .tables import listing

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".pgm", ".ppm"})
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def list_images(folder: Path) -> list[Path]:
    """Image files at any depth below `folder`, sorted; hidden files and what macOS archives add are passed over.

    Links to folders are followed, but for one that leads back to a folder around it.

    Raises:
        DataUnavailable: if there are none.
    """
    names: list[str] = []
    # os.walk and plain strings: several times faster than Path.rglob on a hundred thousand files.
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if _visible(name) and not _leads_back(Path(parent, name))]
        names += [f"{parent}/{name}" for name in files if _visible(name) and _suffix(name) in SUFFIXES]
    if not names:
        raise DataUnavailable(f"{folder} contains no images ({', '.join(sorted(SUFFIXES))}); put them there.")
    return [Path(name) for name in sorted(names)]


def _leads_back(folder: Path) -> bool:
    """Whether a folder is a link to one that it lies in."""
    return folder.is_symlink() and folder.resolve() in (parent.resolve() for parent in folder.parents)


def _visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _suffix(name: str) -> str:
    return name[max(name.rfind("."), 0) :].lower()


def need(path: Path, what: str) -> Path:
    """`path`, if it is there.

    Raises:
        DataUnavailable: saying what to put there.
    """
    if not path.exists():
        raise DataUnavailable(f"{path} is missing: {what}.")
    return path


def by_name(files: Sequence[Path], *, stem: bool = False) -> dict[str, Path]:
    """Files by their name, or by their name without suffix.

    Raises:
        DataError: if two have the same.
    """
    found: dict[str, Path] = {}
    for file in files:
        name = file.stem if stem else file.name
        if name in found:
            raise DataError(f"two images are called {name!r}: {found[name]} and {file}; keep one.")
        found[name] = file
    return found


def place(path: Path, *, has_splits: bool) -> tuple[str | None, str | None]:
    """Split and class that a relative path says: `[split/]class/.../file`."""
    folders = list(path.parts[:-1])
    split = SPLIT_FOLDERS[folders.pop(0).lower()] if has_splits and folders else None
    return split, folders[0] if folders else None


def split_folders(files: Sequence[Path]) -> bool:
    """Whether relative paths begin with split folders.

    Raises:
        DataError: if only some do.
    """
    tops = {file.parts[0] if len(file.parts) > 1 else "" for file in files}
    splits = {top for top in tops if top.lower() in SPLIT_FOLDERS}
    if splits and splits != tops:
        other = ", ".join(sorted(repr(top) if top else "loose files" for top in tops - splits))
        raise DataError(
            f"{other} beside the split folders {listing(sorted(splits))}; move them into train, val or test."
        )
    return bool(splits)


def first_group(pattern: str, path: str) -> str:
    """First captured group of a regular expression found in a relative path.

    Raises:
        DataError: if the pattern does not compile, captures nothing, or is not found.
    """
    try:
        match = re.search(pattern, path)
    except re.error as error:
        raise DataError(f"group_pattern = {pattern!r} is not a valid regular expression: {error}.") from None
    if match is None or not match.groups() or match[1] is None:
        raise DataError(
            f"group_pattern = {pattern!r} captures nothing in {path!r}; its first parenthesis must contain the patient."
        )
    return match[1]
