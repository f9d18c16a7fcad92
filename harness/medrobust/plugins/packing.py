"""The source of plugins of third parties, as files that somebody else can read and run."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..errors import PluginError
from .homes import Home
from .local import module_name
from .registered import RegisteredPlugin
from .registry import FILE
from .source import dependencies

MOST: Final = 50 * 10**6
"""Bytes of the source of one distribution; data of that size do not belong in it."""
_COMPILED: Final = frozenset({".pyc", ".so", ".pyd", ".dylib", ".dll"})


@dataclass(frozen=True)
class Source:
    """The source behind plugins of one distribution.

    Attributes:
        distribution: its name.
        version: its version.
        file: the name of the plugin file, if it is a local one; empty if it is installed.
        content: files by their names below a folder that can be put on Python's path.
    """

    distribution: str
    version: str
    file: str
    content: dict[str, Path | bytes] = field(repr=False)


def sources(offers: Iterable[RegisteredPlugin]) -> list[Source]:
    """The source of each distribution that plugins come from.

    Of a local file: the file and what it imports and reads beside it. Of an installed distribution: the packages that
    the plugins depend on, with their entry points. Compiled code is left out, as nobody can read it.

    Raises:
        PluginError: if the source of a plugin has no file, or is too large.
    """
    found: dict[str, Source] = {}
    for offer in offers:
        if offer.distribution not in found:
            file = _plugin_file(offer)
            found[offer.distribution] = Source(offer.distribution, offer.version, file.name if file else "", {})
        found[offer.distribution].content.update(_files(offer))
    for each in found.values():
        size = sum(len(c) if isinstance(c, bytes) else c.stat().st_size for c in each.content.values())
        if size > MOST:
            raise PluginError(
                f"the source of {each.distribution} and the data it reads have {size / 1e6:.0f} MB; at most "
                f"{MOST / 1e6:.0f} MB are packed: keep data apart from code, or use --no-source"
            )
    return list(found.values())


def local_content(file: Path) -> dict[str, Path]:
    """The files behind a loaded local plugin file, itself included, by their names below its folder.

    Raises:
        PluginError: if it is not loaded, or needs a file from elsewhere.
    """
    known = dependencies(module_name(file))
    if known is None:
        raise PluginError(f"--plugin {file}: is not loaded")
    return dict(_code(*known))


def _files(offer: RegisteredPlugin) -> Iterator[tuple[str, Path | bytes]]:
    """What one plugin needs, by name below the folder of its home."""
    modules = [offer.plugin.__module__, *([_local_module(offer)] if offer.version == FILE else [])]
    for module in dict.fromkeys(modules):
        known = dependencies(module)
        if known is None:
            raise PluginError(f"the source of {offer.kind} '{offer.qualified}' is in no file; use --no-source")
        yield from _code(*known)
        if offer.version != FILE:
            yield from _about(offer, {_top(name) for name in known[1]})


def _code(home: Home, names: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """The files behind the names that `dependencies` gives; of a package all, as importing it may run any of them."""
    for top in dict.fromkeys(map(_top, names)):
        module = home.find(top)
        if module is not None and module.folders:
            yield from ((_below(file, home), file) for folder in module.folders for file in _tree(folder))
        elif module is not None and module.file is not None:
            yield _below(module.file, home), module.file
    for name in names:
        owner, beside, text = name.partition("/0/")
        if beside and "." not in owner:
            place = home.folder / text
            yield from ((_below(file, home), file) for file in (_tree(place) if place.is_dir() else [place]))


def _plugin_file(offer: RegisteredPlugin) -> Path | None:
    """The local file that offers a plugin; None if it is installed."""
    if offer.version != FILE:
        return None
    loaded = sys.modules.get(_local_module(offer))
    file = getattr(loaded, "__file__", None)
    if file is None:
        raise PluginError(f"the file of plugin '{offer.qualified}' is not known any more; give --plugin FILE")
    return Path(file)


def _about(offer: RegisteredPlugin, tops: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """What Python needs to find an installed distribution: its name, version, entry points and packages."""
    try:
        installed = importlib.metadata.distribution(offer.distribution)
    except importlib.metadata.PackageNotFoundError:
        raise PluginError(f"{offer.distribution} is not installed as a distribution; use --no-source") from None
    folder = f"{re.sub(r'[^A-Za-z0-9]+', '_', offer.distribution)}-{offer.version}.dist-info"
    about = f"Metadata-Version: 2.1\nName: {offer.distribution}\nVersion: {offer.version}\n"
    yield f"{folder}/METADATA", about.encode()
    yield f"{folder}/entry_points.txt", (installed.read_text("entry_points.txt") or "").encode()
    yield f"{folder}/top_level.txt", "".join(f"{top}\n" for top in sorted(tops)).encode()


def _tree(folder: Path) -> Iterator[Path]:
    """The files of a folder, without caches, hidden files and compiled code."""
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if file.is_file() and not file.is_symlink() and file.suffix not in _COMPILED and not hidden:
            yield file


def _below(file: Path, home: Home) -> str:
    try:
        return file.relative_to(home.folder).as_posix()
    except ValueError:
        raise PluginError(f"{file} is not below {home.folder}, where its plugin is; use --no-source") from None


def _top(name: str) -> str:
    """The top-level module of a name that `dependencies` gives."""
    return re.split(r"[.:/]", name)[0]


def _local_module(offer: RegisteredPlugin) -> str:
    return module_name(Path(f"{offer.distribution}.py"))
