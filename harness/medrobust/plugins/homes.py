"""The folder of a plugin's own distribution, and the files of its modules."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final

CORE: Final = "medrobust"
"""The top-level package whose behaviour has revisions of its own; it never counts as a helper."""


@dataclass(frozen=True)
class Module:
    """A module of a plugin's own distribution.

    Attributes:
        name: its full name.
        file: its file; None for a package without `__init__.py`.
        folders: of a package, where its modules lie; empty for a plain module.
    """

    name: str
    file: Path | None
    folders: tuple[Path, ...] = ()

    @property
    def package(self) -> str:
        """The package that its relative imports start from."""
        return self.name if self.folders else self.name.rpartition(".")[0]


@dataclass(frozen=True)
class Home:
    """The place of a class's own distribution: what its modules may import from the same distribution.

    Attributes:
        top: its top-level module.
        folder: the folder in which that lies.
    """

    top: str
    folder: Path

    @classmethod
    def of(cls, module: str) -> Home | None:
        """The home of an imported module; None if it has no file, as in an interactive session."""
        top = module.partition(".")[0]
        loaded = _loaded(top)
        if loaded is None:
            return None
        places = loaded.folders or ((loaded.file,) if loaded.file else ())
        return cls(top, places[0].parent) if places else None

    @cached_property
    def _shared(self) -> bool:
        """Whether distributions of others are installed in the same folder."""
        return any(self.folder.glob("*.dist-info"))

    def owns(self, top: str) -> bool:
        """Whether a top-level module belongs to the same distribution, or lies beside a file that is not installed."""
        if top == self.top:
            return True
        if top == CORE or top in sys.stdlib_module_names:
            return False
        if self._shared:
            return top in _siblings(self.top)
        return _search(top, (self.folder,)) is not None

    def find(self, name: str) -> Module | None:
        """A module of this home by its full name; None for anything else. Imports nothing."""
        top, *rest = name.split(".")
        if not self.owns(top):
            return None
        found = _loaded(top) or _search(top, (self.folder,))
        for part in rest:
            if found is None:
                return None
            inner = f"{found.name}.{part}"
            found = _loaded(inner) or _search(inner, found.folders)
        return found


def _loaded(name: str) -> Module | None:
    module = sys.modules.get(name)
    if module is None:
        return None
    file, folders = getattr(module, "__file__", None), getattr(module, "__path__", ())
    if file is None and not folders:
        return None
    return Module(name, Path(file) if file else None, tuple(map(Path, folders)))


def _search(name: str, folders: tuple[Path, ...]) -> Module | None:
    """Look for a module in folders, in the order in which Python would."""
    last = name.rpartition(".")[2]
    suffixes = (*importlib.machinery.EXTENSION_SUFFIXES, *importlib.machinery.SOURCE_SUFFIXES)
    for folder in folders:
        if (file := folder / last / "__init__.py").is_file():
            return Module(name, file, (folder / last,))
        for suffix in suffixes:
            if (file := folder / f"{last}{suffix}").is_file():
                return Module(name, file)
    spaces = tuple(folder / last for folder in folders if any((folder / last).glob("*.py")))
    return Module(name, None, spaces) if spaces else None


@cache
def _siblings(top: str) -> frozenset[str]:
    """All top-level modules of the installed distributions that a top-level module belongs to."""
    # Reads the file lists of everything that is installed: a quarter of a second for a hundred distributions.
    owners = importlib.metadata.packages_distributions()
    mine = set(owners.get(top, ()))
    return frozenset(name for name, theirs in owners.items() if mine & set(theirs))
