"""Pages of the public Python names, one for each package that lists its names in a stub.

The names are grouped by the room that defines them, with the first line of that room's docstring, so that a new name
stands on its page without being listed anywhere but in the stub.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

HARNESS: Final = Path(__file__).parents[2] / "harness"
PACKAGES: Final = ("medrobust", "medrobust.api", "medrobust.testing", "medrobust.pytest")


def page_of(package: str) -> str:
    """The page of a package, below the folder of documents."""
    return f"reference/{package}.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to the site."""
    from mkdocs.structure.files import File

    for package in PACKAGES:
        files.append(File.generated(config, page_of(package), content=markdown(package)))
    return files


def markdown(package: str) -> str:
    """The page of a package: what its stub says of it, then its names by the room that defines them."""
    stub = HARNESS.joinpath(*package.split("."), "__init__.pyi")
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    rooms = dict[Path, list[tuple[str, str]]]()
    for name, home in _homes(stub, tree).items():
        # Of a name that its module has as well, the page would show the module.
        dotted = ".".join(home.relative_to(HARNESS).with_suffix("").parts) if home.stem == name else package
        rooms.setdefault(_room(home), []).append((name, f"{dotted}.{name}"))
    lines = [f"# {package}", ast.get_docstring(tree) or ""]
    for room in sorted(rooms):
        if len(rooms) > 1:
            lines += [f"## {room.stem.replace('_', ' ').capitalize()}", _purpose(room)]
        lines += [f"::: {path}" for _, path in sorted(rooms[room])]
    return "\n\n".join(lines) + "\n"


def _room(home: Path) -> Path:
    """What names are grouped by: the package that defines them, but each module of contracts is a room of its own."""
    return home if home.parent.name in ("contracts", "medrobust") else home.parent


def _homes(stub: Path, tree: ast.Module) -> dict[str, Path]:
    """The module that defines each name of a stub; a package that only collects names is looked through."""
    found = dict[str, Path]()
    for module, names in _imports(stub, tree):
        inner = dict[str, Path]()
        if module.name == "__init__.py" and "contracts" in module.parts:
            within = _imports(module, ast.parse(module.read_text(encoding="utf-8")))
            inner = {name: home for home, listed in within for name in listed}
        found |= {name: inner.get(name, module) for name in names}
    return found


def _imports(file: Path, tree: ast.Module) -> Iterator[tuple[Path, list[str]]]:
    """The modules that a file imports names from, relative to it."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            module = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
            yield module, [name.name for name in node.names]


def _purpose(room: Path) -> str:
    """The first line of the docstring of a package or module."""
    file = room / "__init__.py" if room.is_dir() else room
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]
