"""One mistake in a plugin, and the line of its author's code where it stands."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a plugin.

    Attributes:
        text: what is wrong, and what would be right.
        place: `file.py:12`; empty where it is not known.
    """

    text: str
    place: str = ""

    @classmethod
    def at(cls, plugin: type, member: str, text: str) -> Problem:
        """A problem with one member of a class: a method, a field or a class variable; with the class, if empty."""
        return cls(text, place_of(plugin, member))


def place_of(plugin: type, member: str = "") -> str:
    """`file.py:12`: where a class, or what it or its nearest base defines as `member`, stands; empty if unknown."""
    owners = [c for c in plugin.__mro__ if not c.__module__.startswith("medrobust.")]
    for owner in owners if member else owners[:1]:
        file = Path(getattr(sys.modules.get(owner.__module__), "__file__", None) or "")
        node = _class_node(file, owner.__qualname__)
        if node is None:
            continue
        if not member:
            return f"{file.name}:{node.lineno}"
        line = next((each.lineno for each in node.body if member in _names(each)), None)
        if line is not None:
            return f"{file.name}:{line}"
    return place_of(plugin) if member else ""


def _class_node(file: Path, qualname: str) -> ast.ClassDef | None:
    """The last definition of a class in a file."""
    try:
        found: ast.AST | None = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    for part in qualname.split("."):
        if part != "<locals>" and found is not None:
            defined = [
                node
                for node in ast.walk(found)
                if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name == part
            ]
            found = defined[-1] if defined else None
    return found if isinstance(found, ast.ClassDef) else None


def _names(statement: ast.stmt) -> set[str]:
    """What a statement in a class body defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return {each.id for each in targets if isinstance(each, ast.Name)}
