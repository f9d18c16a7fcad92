"""What a plugin is called: by a short name for people, and by a table that gives the same plugin back."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from ..contracts import BudgetSpec, Length, Plugin
from ..errors import PluginError
from .hints import default_of, hints_of
from .registered import RegisteredPlugin
from .registry import Registry


def name_of(offer: RegisteredPlugin, plugin: Plugin, registry: Registry) -> str:
    """`pgd(steps=5)`: the shortest name by which a grid can call it, with the fields that are not at their defaults."""
    return _describe(registry.short_name(offer), plugin, registry, dict(offer.preset))


def table_of(offer: RegisteredPlugin, plugin: Plugin, registry: Registry) -> dict[str, Any]:
    """The table by which any grid can call a plugin: its qualified name and all its fields, as JSON values.

    A default that stands in a field and that nobody offers by name is left out, since it comes back by itself.
    """
    return {"name": offer.qualified, **_fields(plugin, registry, dict(offer.preset))}


def _describe(name: str, value: Any, registry: Registry, hidden: Mapping[str, Any] = types.MappingProxyType({})) -> str:
    parts = []
    for field in dataclasses.fields(value):
        given = getattr(value, field.name)
        if given != default_of(field) and field.name not in hidden:
            parts.append(f"{field.name}={_text(given, registry)}")
    return f"{name}({', '.join(parts)})" if parts else name


def _text(value: Any, registry: Registry) -> str:
    if isinstance(value, (tuple, list)):
        return ",".join(_text(each, registry) for each in value)
    # Equal values have equal names, whatever order they came in.
    if isinstance(value, (set, frozenset)):
        return ",".join(sorted(_text(each, registry) for each in value))
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{k}={_text(v, registry)}' for k, v in sorted(value.items()))}}}"
    if isinstance(value, Plugin):
        try:
            return name_of(registry.registered(value), value, registry)
        except PluginError:
            return _describe(value.title, value, registry)
    if dataclasses.is_dataclass(value) and not isinstance(value, (Length, BudgetSpec, type)):
        return _describe("", value, registry)
    return str(value)


def _fields(value: Any, registry: Registry, hidden: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass as JSON values."""
    own: type = type(value)
    hints = hints_of(own)
    written = {}
    for field in dataclasses.fields(value):
        if not field.init or field.name in hidden:
            continue
        try:
            written[field.name] = _written(getattr(value, field.name), hints.get(field.name), registry)
        except PluginError:
            continue
    return written


def _written(value: Any, hint: Any, registry: Registry) -> Any:
    """A value of a field as a grid gives it.

    Raises:
        PluginError: for a plugin that nobody offers.
    """
    if isinstance(value, (Length, BudgetSpec, Fraction)):
        return str(value)
    if isinstance(value, Plugin) and not _fixes_class(hint, value):
        return table_of(registry.registered(value), value, registry)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value, registry, {})
    if isinstance(value, Mapping):
        return {str(k): _written(v, hint, registry) for k, v in value.items()}
    if isinstance(value, (tuple, list, set, frozenset)):
        ordered = sorted(value) if isinstance(value, (set, frozenset)) else value
        return [_written(each, hint, registry) for each in ordered]
    return value


def _fixes_class(hint: Any, plugin: Plugin) -> bool:
    """Whether a field is typed with the class of a plugin and not with a contract: its table then has no name."""
    found = [t for t in _types(hint) if isinstance(t, type) and issubclass(t, Plugin) and isinstance(plugin, t)]
    return bool(found) and all(dataclasses.is_dataclass(t) and not inspect.isabstract(t) for t in found)


def _types(hint: Any) -> Iterator[Any]:
    """A type and everything that it is put together from."""
    yield hint
    for each in typing.get_args(hint):
        yield from _types(each)
