"""The fields of a plugin: their defaults fit their types, and nothing in them changes or is taken already."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from typing import Any, Final

from ...contracts import Plugin, Preset, cumulative_field
from ...errors import did_you_mean
from ..hints import alternatives, default_of, hints_of, misfit
from .declarations import class_variables
from .problem import Problem

RESERVED: Final = ("name", "plugin", "class", "source", "fingerprint", "checkpoint")
"""Names that stand in an identity, or in a grid, for something else than a parameter."""
_FIXED: Final = {list: "tuple[{}, ...]", set: "frozenset[{}]"}
"""What takes the place of a type whose values can change."""


def field_problems(plugin: type[Plugin]) -> Iterator[Problem]:
    """What is wrong with the fields of a plugin."""
    hints = hints_of(plugin)
    fields = dataclasses.fields(plugin)  # type: ignore[arg-type]
    for field in fields:
        for text in _field_problems(plugin, field, hints[field.name]):
            yield Problem.at(plugin, field.name, text)
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
    for kind in alternatives(hint):
        if (typing.get_origin(kind) or kind) in _FIXED:
            inner = ", ".join(getattr(a, "__name__", str(a)) for a in typing.get_args(kind)) or "str"
            fixed = _FIXED[typing.get_origin(kind) or kind].format(inner)
            yield f"`{name}` is a {(typing.get_origin(kind) or kind).__name__}, which can change; declare it {fixed}"
            return
    if field.metadata.get("cumulative") and misfit(int, default):
        yield f"`{name}` is cumulative with the default {default!r}; it must be a whole number"
    elif default is dataclasses.MISSING:
        if plugin.kind == "model":
            yield f"its field `{name}` has no default; a model must be usable by its name alone"
    elif wrong := misfit(hint, default):
        yield f"`{name}` has the default {default!r}; {wrong}"
    else:
        try:
            hash(default)
        except TypeError:
            yield f"`{name}` has the default {default!r}, which can change; take one that cannot, such as a tuple"
