"""Public names that are imported when they are first used (SPEC 1 of scientific Python).

A package lists its names in a stub beside its `__init__.py`, which editors and type checkers read as well; so that
importing it, and with it `medrobust --help`, need not wait for torch.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any


def attach(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` for a package whose names are listed in the stub of its `__init__.py`.

    Args:
        package: its `__name__`.
        file: its `__file__`.
    """

    @cache
    def homes() -> dict[str, str]:
        """The module of each public name."""
        stub = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
        imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
        return {name.name: f"{'.' * node.level}{node.module}" for node in imports for name in node.names}

    def get(name: str) -> Any:
        if name.startswith("__") or name not in homes():
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        value = getattr(importlib.import_module(homes()[name], package), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes()})

    return get, names
