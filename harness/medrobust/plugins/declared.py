"""Which version of the plugin contract a module says it was written for, read from its text before it is imported."""

from __future__ import annotations

import ast
import importlib.util
from functools import lru_cache
from importlib.metadata import EntryPoint
from pathlib import Path

from .contract_version import CONTRACT, DECLARATION


def of_file(file: Path) -> object:
    """What a Python file declares; today's version where it declares nothing, or cannot be read."""
    try:
        return _of_text(file.read_bytes())
    except OSError:
        return CONTRACT  # importing it says what is wrong


@lru_cache(maxsize=256)
def _of_text(text: bytes) -> object:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return CONTRACT  # importing it says what is wrong
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == DECLARATION for target in targets):
            return _value(getattr(statement, "value", None))
    return CONTRACT


def of_entry_point(point: EntryPoint) -> object:
    """What the module of an entry point declares; today's version where it cannot be found."""
    try:
        found = importlib.util.find_spec(point.module)
    except (Exception, SystemExit):  # noqa: BLE001 - the package around it may raise anything
        return CONTRACT  # importing it says what is wrong
    if found is None or found.origin is None or not found.has_location:
        return CONTRACT
    return of_file(Path(found.origin))


def _value(expression: ast.expr | None) -> object:
    if expression is None:
        return CONTRACT
    try:
        return ast.literal_eval(expression)
    except ValueError:
        return ast.unparse(expression)
