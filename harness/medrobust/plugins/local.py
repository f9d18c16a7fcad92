"""Local plugin files: one Python file, with what lies beside it, that needs no packaging."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from ..errors import PluginError
from .syntax import read_syntax

PREFIX: Final = "medrobust_local_"
"""Begins the module name of every local plugin file."""

_there_before: dict[Path, frozenset[str]] = {}
"""By folder, its modules that were imported before the first plugin file of it was loaded."""


_opened: set[str] = set()
"""The folders that are on Python's path for their plugin files alone."""


def module_name(file: Path) -> str:
    """The file's own name, so that classes defined there can be found again in another process."""
    return f"{PREFIX}{file.stem.replace('-', '_')}"


def open_folder(folder: Path) -> None:
    """Let the files of a folder be imported by their bare names, as they are now.

    The folder comes last on the path, so that it hides nothing that is installed. What an earlier plugin file of this
    folder had imported from it is imported again: it may have been edited, as in a notebook, and identities follow the
    files.
    """
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        _opened.add(str(folder))
    mine = frozenset(name for name, module in list(sys.modules.items()) if _beside(name, module, folder))
    for name in mine - _there_before.setdefault(folder, mine):
        del sys.modules[name]
    importlib.invalidate_caches()


def load(file: Path) -> ModuleType:
    """Import a local plugin file whose folder is open; whatever it raises goes on.

    Raises:
        PluginError: if it is no Python file.
    """
    name = module_name(file)
    specification = importlib.util.spec_from_file_location(name, file)
    if specification is None or specification.loader is None:
        raise PluginError("not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


def forget(file: Path) -> None:
    """Undo the loading of a plugin file, and of what it imported from beside it."""
    folder = file.parent
    sys.modules.pop(module_name(file), None)
    for name, module in list(sys.modules.items()):
        if _beside(name, module, folder) and name not in _there_before.get(folder, ()):
            del sys.modules[name]
    if str(folder) in _opened and str(folder) in sys.path:
        sys.path.remove(str(folder))
    _opened.discard(str(folder))
    _there_before.pop(folder, None)


def hidden_neighbour(file: Path) -> str:
    """What is wrong where a plugin file imports something installed under the name of a file beside it, or nothing."""
    for imported in read_syntax(file.read_bytes()).imports:
        top = imported.module.partition(".")[0]
        origin = getattr(sys.modules.get(top), "__file__", None)
        if imported.level or origin is None or top in sys.stdlib_module_names:
            continue
        beside = [path for path in (file.parent / f"{top}.py", file.parent / top / "__init__.py") if path.is_file()]
        if beside and not any(path.samefile(origin) for path in beside):
            return f"`import {top}` gives {origin}, not {beside[0]}; rename the file beside the plugin"
    return ""


def _beside(name: str, module: ModuleType, folder: Path) -> bool:
    """Whether a module is a neighbour's file, or lies in a package that is one; plugin files themselves are not."""
    top = name.partition(".")[0]
    if top.startswith((PREFIX, "__")):
        return False
    origin = getattr(sys.modules.get(top, module), "__file__", None)
    # Thousands of modules are asked about: texts, where paths would take a tenth of a second.
    if not isinstance(origin, str) or not origin.startswith(str(folder)):
        return False
    return origin in (f"{folder}{os.sep}{top}.py", f"{folder}{os.sep}{top}{os.sep}__init__.py")
