"""Local plugin files on their way to other machines: packed by content, loaded there from a folder of their own."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

from ..errors import PluginError
from . import local
from .packing import MOST, local_content
from .registry import Registry


def pack(files: Iterable[Path]) -> tuple[bytes, tuple[str, ...]]:
    """Loaded plugin files, with what they import and read beside them.

    Returns:
        An archive, and the names of the plugin files in it. Equal files give equal bytes.

    Raises:
        PluginError: if they are too large to send.
    """
    folders: dict[Path, str] = {}
    content: dict[str, bytes] = {}
    names = []
    for file in files:
        # One folder here is one folder there: two plugin files may share what lies beside them.
        folder = folders.setdefault(file.parent, str(len(folders)))
        content |= {f"{folder}/{name}": path.read_bytes() for name, path in local_content(file).items()}
        names.append(f"{folder}/{file.name}")
        if sum(map(len, content.values())) > MOST:
            raise PluginError(
                f"--plugin {file}: with the files that it reads beside it, it has more than {MOST / 1e6:.0f} MB, too "
                "much to send to workers; keep data apart from code"
            )
    return _archive(content), tuple(names)


def unpack(archive: bytes, folder: Path) -> None:
    """Write what `pack` has packed below a folder."""
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        packed.extractall(folder)


def load_only(files: Sequence[Path], originals: Sequence[Path]) -> tuple[Path, ...]:
    """Have exactly these plugin files loaded, of all files of their names.

    A process that serves several runs may have loaded a file of that name before, with other content. Where the
    originals are here too, and equal, they are loaded in place: what lies beside them may be on Python's path already.

    Args:
        files: unpacked.
        originals: their places where they were packed.

    Returns:
        The files that are loaded.

    Raises:
        PluginError: if one cannot be loaded.
    """
    registry = Registry()
    chosen = []
    contents = {folder: _folder_content(folder) for folder in {file.parent for file in files}}
    for file, original in zip(files, originals, strict=True):
        name, content = local.module_name(file), contents[file.parent]
        in_place = _equal(original.parent, content)
        if not _is_loaded(name, content, in_place=in_place):
            if (older := sys.modules.get(name)) is not None:
                local.forget(Path(older.__file__ or ""))
            registry.load_file(original if in_place else file)
            _loaded[name] = (sys.modules[name], content)
        chosen.append(Path(sys.modules[name].__file__ or ""))
    return tuple(chosen)


_loaded: dict[str, tuple[ModuleType, dict[str, bytes]]] = {}
"""The plugin files that this process has loaded for others, by module name, with all content behind them."""


def _is_loaded(name: str, content: dict[str, bytes], *, in_place: bool) -> bool:
    """Whether a plugin file of this content is loaded; one that this process loaded for itself is as its file is."""
    module = sys.modules.get(name)
    if module is None or name not in _loaded:
        return module is not None and in_place
    return _loaded[name] == (module, content)


def _folder_content(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def _equal(folder: Path, content: dict[str, bytes]) -> bool:
    """Whether a folder has these files."""
    try:
        return all((folder / name).read_bytes() == data for name, data in content.items())
    except OSError:
        return False


def _archive(content: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(content):
            archive.writestr(zipfile.ZipInfo(name), content[name], zipfile.ZIP_DEFLATED)
    return packed.getvalue()
