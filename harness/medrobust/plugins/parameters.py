"""A plugin's parameters as a reader of a grid sees them: types in words, defaults as TOML."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..contracts import BudgetSpec, Length, Plugin, UniversalAttack
from .hints import default_of, hints_of, in_words, without_range

EXAMPLES = {"budget": '"linf:4/255"', "length": '"1/255"', "whole number": "1", "number": "1.0", "attack": '"fgsm"'}
"""Values of parameters that have no default, by type."""


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        name: its name in a grid.
        type: its type in words.
        default: its default as TOML, or None where it must be given.
        cumulative: whether a sweep over it costs one run.
        example: a value as TOML for an example.
    """

    name: str
    type: str
    default: str | None
    cumulative: bool
    example: str


def parameters_of(plugin: type[Plugin], preset: tuple[str, ...] = ()) -> Iterator[Parameter]:
    """The parameters of a plugin class that a grid may set; a preset fixes the others."""
    hints = hints_of(plugin)
    for field in dataclasses.fields(plugin):  # type: ignore[arg-type]
        if field.name not in preset and field.init:
            hint, default = hints[field.name], default_of(field)
            given = default is not dataclasses.MISSING
            yield Parameter(
                field.name,
                in_words(hint),
                toml(default) if given else None,
                bool(field.metadata.get("cumulative")),
                toml(default) if given else _example(hint),
            )


def toml(value: Any) -> str:
    """A value as it is written in a grid; `none` for one that cannot be written there."""
    if value is None:
        return "none"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, Plugin):
        fields = _differing(value)
        return f'{{ name = "{value.name}", {fields} }}' if fields else json.dumps(value.name)
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Length | BudgetSpec):
        fields = _differing(value)
        return f"{{ {fields} }}" if fields else "{}"
    if isinstance(value, tuple | list | set | frozenset):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(str(value), ensure_ascii=False)


def _differing(value: Any) -> str:
    """Fields of a dataclass that differ from their defaults."""
    each = ((f, getattr(value, f.name)) for f in dataclasses.fields(value))
    return ", ".join(f"{f.name} = {toml(v)}" for f, v in each if v != default_of(f))


def _example(hint: Any) -> str:
    """A value for a parameter without a default."""
    hint = without_range(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (tuple, list):
        return f"[{_example(arguments[0])}]"
    if origin is typing.Literal:
        return json.dumps(arguments[0])
    if isinstance(hint, type) and issubclass(hint, UniversalAttack):
        return '"uap"'
    return EXAMPLES.get(in_words(hint), '"..."')
