"""The fields of a plugin: their defaults fit their types, and nothing in them changes or is taken already."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ...contracts import Plugin, Preset, cumulative_field
from ...errors import did_you_mean
from ..hints import alternatives, default_of, hints_of, misfit
from .declarations import class_variables
from .problem import Problem

RESERVED: Final = ("name", "plugin", "class", "source", "fingerprint", "checkpoint")
"""Names that stand in an identity, or in a grid, for something else than a parameter."""
_FIXED: Final[dict[type, str]] = {list: "tuple[{}, ...]", set: "frozenset[{}]"}
"""What takes the place of a type whose values can change."""


def field_problems(plugin: type[Plugin]) -> Iterator[Problem]:
    """What is wrong with the fields of a plugin."""
    hints = hints_of(plugin)
    fields = dataclasses.fields(plugin)  # type: ignore[arg-type]
    for field in fields:
        for text in _field_problems(plugin, field, hints[field.name]):
            yield Problem.at(plugin, field.name, text)
    yield from _changeable(plugin, hints)
    if sum(bool(f.metadata.get("cumulative")) for f in fields) > 1:
        yield Problem.at(plugin, "", "declares more than one cumulative field")
    if plugin.kind == "attack" and (field_name := cumulative_field(plugin)) and not hasattr(plugin, "iterates"):
        # A sweep over the field is one run, so an attack that gives its last images only would answer for all values.
        text = (
            f"has the cumulative field '{field_name}' but no method `iterates`; derive it from "
            "medrobust.IterativeAttack or IterativeUniversalAttack, or declare an ordinary field"
        )
        yield Problem.at(plugin, field_name, text)


def preset_fields_problem(preset: Preset) -> Iterator[Problem]:
    """What is wrong with the fields that a preset fixes."""
    hints = hints_of(preset.plugin)
    valid = [f.name for f in dataclasses.fields(preset.plugin) if f.init]  # type: ignore[arg-type]
    for name, value in preset.fields.items():
        if name not in valid:
            text = f"{preset.plugin.__name__} has no field '{name}'{did_you_mean(name, valid)}"
            yield Problem.at(preset.plugin, "", text)
        elif wrong := misfit(hints[name], value):
            yield Problem.at(preset.plugin, name, f"fixes `{name}` to {value!r}; {wrong}")


def _field_problems(plugin: type[Plugin], field: dataclasses.Field[Any], hint: Any) -> Iterator[str]:
    name, default = field.name, default_of(field)
    of_contract = name in class_variables(plugin)
    if of_contract or name in RESERVED:
        remedy = "annotate it as ClassVar" if of_contract else "rename it"
        yield f"has a field '{name}', a name that medrobust uses itself; {remedy}"
        return
    if field.metadata.get("cumulative") and misfit(int, default):
        yield f"`{name}` is cumulative with the default {default!r}; it must be a whole number"
    elif default is dataclasses.MISSING:
        if plugin.kind == "model":
            yield f"its field `{name}` has no default; a model must be usable by its name alone"
    elif wrong := misfit(hint, default):
        yield f"`{name}` has the default {default!r}; {wrong}"


def _changeable(plugin: type[Plugin], hints: Mapping[str, Any]) -> Iterator[Problem]:
    """Fields whose values can change after an identity was made of them, unless the class has a hash of its own."""
    values = {field.name: _value_of(field, hints[field.name]) for field in dataclasses.fields(plugin)}  # type: ignore[arg-type]
    instance = object.__new__(plugin)
    for name, value in values.items():
        object.__setattr__(instance, name, value)
    if _is_hashable(instance):
        return
    for name, value in values.items():
        if not _is_hashable(value):
            kind = type(value)
            inner = typing.get_args(next((t for t in alternatives(hints[name]) if typing.get_origin(t) is kind), None))
            items = ", ".join(getattr(each, "__name__", str(each)) for each in inner) or "str"
            fixed = _FIXED.get(kind, "a type whose values cannot, such as a tuple").format(items)
            text = f"`{name}` is a {kind.__name__}, which can change; declare it {fixed}"
            yield Problem.at(plugin, name, text)


def _value_of(field: dataclasses.Field[Any], hint: Any) -> Any:
    """The default of a field; without one, an empty list, set or table where it takes one."""
    if (default := default_of(field)) is not dataclasses.MISSING:
        return default
    kinds = {typing.get_origin(t) or t for t in alternatives(hint)}
    return next((kind() for kind in (list, set, dict) if kind in kinds), None)


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except Exception:  # noqa: BLE001 - a hash of the author's own may rest on anything
        return False
    return True
