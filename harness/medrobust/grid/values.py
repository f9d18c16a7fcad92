"""Values as TOML gives them: of the kind that a place of a grid needs, or an error that says what was expected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import GridError, did_you_mean, shown


def known_keys(table: Mapping[str, Any], valid: Iterable[str], where: str) -> None:
    """Raise GridError for a key that is none of `valid`."""
    valid = tuple(valid)
    for key in table:
        if key not in valid:
            raise GridError(f"{where}: unknown key {shown(key)}{did_you_mean(key, valid)}")


def table_of(value: Any, where: str) -> Mapping[str, Any]:
    """The value, if it is a table.

    Raises:
        GridError: otherwise.
    """
    if not isinstance(value, Mapping):
        raise GridError(f"{where}: expected a table, got {shown(value)}")
    return value


def list_of(value: Any) -> list[Any]:
    """A list as it is, anything else as a list of one."""
    return value if isinstance(value, list) else [value]


def text_of(value: Any) -> str:
    """The value, if it is text.

    Raises:
        ValueError: otherwise.
    """
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {shown(value)}")
    return value


def whole_number(value: Any, least: int) -> int:
    """The value, if it is a whole number and not too small.

    Raises:
        ValueError: otherwise.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"expected a whole number of at least {least}, got {shown(value)}")
    return value
