"""Why parameters cannot be those of a plugin, in words."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable
from typing import Any, Final

from pydantic import ValidationError

from ..contracts import Plugin
from .hints import alternatives, hints_of
from .ranges import Range, range_of

_OUT_OF_RANGE: Final = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")


def explain(error: ValidationError, plugin: type[Plugin]) -> str:
    """One line: each parameter with what was expected of it and what was given."""
    parts = []
    for item in error.errors(include_url=False):
        place = [p for p in item["loc"] if not (isinstance(p, str) and p[:1].isupper())]
        message = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        if item["type"] in _OUT_OF_RANGE and (permitted := _permitted(plugin, place)):
            message = f"must be {permitted}"
        given = "" if item["type"] in ("value_error", "missing") else f", got {item['input']!r}"
        parts.append(f"{'.'.join(map(str, place))}: {message}{given}" if place else message)
    return "; ".join(parts)


def _permitted(plugin: type[Plugin], place: Iterable[str | int]) -> Range | None:
    """The range of the parameter at a place, such as ("recipe", "milestones", 0)."""
    hint: Any = plugin
    for part in place:
        if isinstance(part, int):
            hint = next((typing.get_args(t)[0] for t in alternatives(hint) if typing.get_args(t)), None)
        else:
            tables = [t for t in alternatives(hint) if dataclasses.is_dataclass(t) and isinstance(t, type)]
            hint = next((hints_of(t)[part] for t in tables if part in hints_of(t)), None)
    return range_of(hint)
