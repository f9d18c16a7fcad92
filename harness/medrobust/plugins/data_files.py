"""The data files that a module reads from beside itself, as far as its text names them."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from .homes import Home, Module
from .syntax import Syntax, read_syntax

MOST_FILES: Final = 2_000
MOST_BYTES: Final = 256 * 2**20
"""Beyond these, the files of a named folder count by name and size, as reading them would delay every start."""

_CODE: Final = frozenset({".py", ".pyc", ".pyi", ".so", ".pyd"})


def data_files(module: Module, syntax: Syntax, home: Home) -> Iterator[tuple[str, str]]:
    """What a module's string constants name beside it: a text and the hash of the files behind it.

    A constant counts where it is the path of a file from the module's folder, or from a folder that another constant
    names. In a module that finds files relative to itself (`__file__`, `importlib.resources`) a constant that names a
    folder stands for all files in it but code, and paths may also start from the packages that the module is in.
    """
    if module.file is None:
        return
    starts = dict.fromkeys([module.file.parent, *(_packages(module, syntax, home) if syntax.anchored else ())])
    for number, start in enumerate(starts):
        for text in syntax.texts:
            place = start / text
            if _exists(place, stat.S_ISREG) and place != module.file:
                yield f"{number}/{text}", file_hash(place)
            elif _exists(place, stat.S_ISDIR):
                if syntax.anchored and _is_inside(place, start):
                    yield f"{number}/{text}", _folder_hash(place)
                else:
                    named = [t for t in syntax.texts if _exists(place / t, stat.S_ISREG)]
                    yield from ((f"{number}/{text}/{t}", file_hash(place / t)) for t in named)


def file_hash(file: Path) -> str:
    """The content of a file; of Python code, without comments, docstrings and layout."""
    if file.suffix == ".py":
        return read_syntax(file.read_bytes()).digest
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def _exists(place: Path, kind: Callable[[int], bool]) -> bool:
    """Whether a file or folder is there; where a folder may not be read, nothing is."""
    try:
        return kind(place.stat().st_mode)
    except OSError:
        return False


def _packages(module: Module, syntax: Syntax, home: Home) -> Iterator[Path]:
    """Folders of the packages around a module, and of those of its own distribution that it names."""
    name = module.package.rpartition(".")[0]
    names = [text for text in syntax.texts if text.partition(".")[0] == home.top]
    while name:
        names.append(name)
        name = name.rpartition(".")[0]
    for each in names:
        if (found := home.find(each)) is not None:
            yield from found.folders


def _is_inside(place: Path, start: Path) -> bool:
    """Whether a folder lies in another one: `.` and `..` name too much, and a store is written rather than read."""
    return start.resolve() in place.resolve().parents and not (place / "store.json").exists()


def _folder_hash(folder: Path) -> str:
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.is_file()
        and file.suffix not in _CODE
        and not any(part.startswith(".") or part == "__pycache__" for part in file.relative_to(folder).parts)
    )
    sizes = [file.stat().st_size for file in files]
    large = len(files) > MOST_FILES or sum(sizes) > MOST_BYTES
    digest = hashlib.sha256()
    for file, size in zip(files, sizes, strict=True):
        told = str(size) if large else file_hash(file)
        digest.update(f"{file.relative_to(folder).as_posix()}\0{told}\0".encode())
    return digest.hexdigest()[:16]
