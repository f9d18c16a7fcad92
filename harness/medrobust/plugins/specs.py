"""From a table in a grid to a plugin instance, and from an instance to the fields of its identity."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache, cached_property
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from ..contracts import BudgetSpec, DerivedAttack, Length, Plugin, cumulative_field
from ..errors import MedrobustError, PluginError, did_you_mean
from .explaining import explain
from .hints import alternatives, hints_of
from .libraries import libraries_of, library_version
from .naming import name_of, table_of
from .registered import RegisteredPlugin, cause_of
from .registry import Registry
from .source import source_hash

MOST: Final = 100_000
"""Instances that the lists of one table stand for."""

_to_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


class Canonical(str):
    """JSON that is equal exactly for equal values; what many identities share is encoded once."""

    __slots__ = ()

    @classmethod
    def list_of(cls, values: Iterable[Any]) -> Canonical:
        """A JSON array of values, some of which may be encoded already."""
        # An encoder is made for each value but texts, and absent values are many.
        texts = [v if type(v) is cls else "null" if v is None else _to_json(v) for v in values]
        return cls(f"[{','.join(texts)}]")

    @classmethod
    def of(cls, value: Any) -> Canonical:
        return cls(_to_json(value))


@dataclasses.dataclass(frozen=True)
class Spec:
    """A plugin with its parameters, as it stands in one place of a grid.

    Attributes:
        offer: name and origin.
        plugin: the instance.
        label: how tables show it: its alias, or its name.
        name: the shortest name by which a grid can call it, with the fields that differ from their defaults.
        written: the table that stands for it in any grid, with its qualified name and every field, as JSON.
    """

    offer: RegisteredPlugin
    plugin: Plugin
    label: str
    name: str
    written: Canonical

    @classmethod
    def of(cls, offer: RegisteredPlugin, plugin: Plugin, registry: Registry, label: str = "") -> Spec:
        """The spec of an instance of an offer, under its own name if it has no alias."""
        name = name_of(offer, plugin, registry)
        return cls(offer, plugin, label or name, name, Canonical.of(table_of(offer, plugin, registry)))

    def replaced(self, registry: Registry, **fields: Any) -> Spec:
        """The same plugin with other fields, under the same label."""
        return Spec.of(self.offer, dataclasses.replace(self.plugin, **fields), registry, self.label)  # type: ignore[type-var]

    @cached_property
    def fields(self) -> dict[str, Any]:
        """What identifies it: origin, source and every field, as plain JSON values."""
        return {"plugin": self.offer.qualified, **plain(self.plugin)}

    @cached_property
    def canonical(self) -> Canonical:
        """`fields` as text."""
        return Canonical.of(self.fields)

    @cached_property
    def described(self) -> Canonical:
        """What a grid says of it, whatever code, files and versions stand behind the words."""
        return Canonical.of(described(self.fields))

    @cached_property
    def family(self) -> Canonical:
        """Equal for an attack, everything derived from it, and both at any value of its cumulative field."""
        plugin = self.plugin
        while isinstance(plugin, DerivedAttack):
            plugin = plugin.of
        return Canonical.of(without_value(plugin))


def build(offer: RegisteredPlugin, table: Mapping[str, Any], registry: Registry, label: str = "") -> Spec:
    """Instantiate an offer with the parameters of `table`.

    Raises:
        PluginError: naming the parameter, what was expected and the nearest valid name.
    """
    valid = [f.name for f in dataclasses.fields(offer.plugin) if f.init]  # type: ignore[arg-type]
    preset = dict(offer.preset)
    for key in table:
        if key not in valid:
            raise PluginError(f"{offer.kind} '{offer.name}' has no parameter '{key}'{did_you_mean(key, valid)}")
        if key in preset:
            raise PluginError(f"{offer.kind} '{offer.name}' has '{key}' fixed to {preset[key]!r}; leave it out")

    def resolve(contract: type[Plugin], value: Any) -> Plugin:
        return nested(contract, value, registry).plugin

    try:
        # JSON mode is strict about types and still takes a TOML array for a tuple and 1 for 1.0.
        text = json.dumps({**table, **preset}, default=_encode)
        plugin = _adapter(offer.plugin).validate_json(text, strict=True, context={"resolve": resolve})
    except ValidationError as error:
        raise PluginError(f"{offer.kind} '{offer.name}': {explain(error, offer.plugin)}") from None
    except MedrobustError:
        raise
    except Exception as error:
        raise PluginError(
            f"{offer.kind} '{offer.qualified}' cannot be created from {dict(table)}: {cause_of(error)}"
        ) from error
    return Spec.of(offer, plugin, registry, label)


def spec_of(plugin: Plugin, registry: Registry) -> Spec:
    """The spec of an instance that stands in a field of another plugin.

    Raises:
        PluginError: if nobody offers its class.
    """
    return Spec.of(registry.registered(plugin), plugin, registry)


def nested(contract: type[Plugin], value: Any, registry: Registry) -> Spec:
    """The plugin that a name or a table in a field stands for.

    Raises:
        PluginError: if it is of another kind.
    """
    table = {"name": value} if isinstance(value, str) else dict(value) if isinstance(value, Mapping) else None
    if table is None or not isinstance(table.get("name"), str):
        raise PluginError(f"expected the name of {article(contract.kind)} or a table with `name`, got {value!r}")
    offer = registry.find(contract.kind, table.pop("name"))
    if not issubclass(offer.plugin, contract):
        raise PluginError(f"'{offer.name}' is not of the kind {contract.__name__}, which is needed here")
    return build(offer, table, registry)


def sweeps(offer: RegisteredPlugin, table: Mapping[str, Any], registry: Registry) -> Iterator[dict[str, Any]]:
    """The tables that a table with lists stands for, in order.

    A list sweeps unless the field's type is a sequence; then a list of lists sweeps. Nested specs sweep too.
    """
    hints = hints_of(offer.plugin)
    choices: list[list[Any]] = []
    for key, value in table.items():
        hint = hints.get(key, Any)
        values = value if isinstance(value, list) and _sweeps(hint, value) else [value]
        choices.append([v for each in values for v in _nested_sweeps(hint, each, registry)])
    _check_number(choices, offer.name)
    for combination in itertools.product(*choices):
        yield dict(zip(table, combination, strict=True))


def _check_number(choices: Sequence[Sequence[Any]], what: str) -> None:
    """Refuse lists whose combinations nobody can compute, before they are in memory."""
    if (number := math.prod(map(len, choices))) > MOST:
        raise PluginError(f"{what}: its lists stand for {number:.3g} combinations; at most {MOST} are swept")


def _nested_sweeps(hint: Any, value: Any, registry: Registry) -> Iterator[Any]:
    contract = next((t for t in alternatives(hint) if isinstance(t, type) and issubclass(t, Plugin)), None)
    if contract is not None and isinstance(value, Mapping) and isinstance(value.get("name"), str):
        inner = {k: v for k, v in value.items() if k != "name"}
        for table in sweeps(registry.find(contract.kind, value["name"]), inner, registry):
            yield {"name": value["name"], **table}
        return
    inner_class: Any = next((t for t in alternatives(hint) if dataclasses.is_dataclass(t) and t is not Length), None)
    if inner_class is not None and contract is None and isinstance(value, Mapping):
        hints = hints_of(inner_class)
        choices = [v if isinstance(v, list) and _sweeps(hints.get(k, Any), v) else [v] for k, v in value.items()]
        _check_number(choices, inner_class.__name__)
        for combination in itertools.product(*choices):
            yield dict(zip(value, combination, strict=True))
        return
    yield value


def _sweeps(hint: Any, value: list[Any]) -> bool:
    is_sequence = any((typing.get_origin(t) or t) in (tuple, list) for t in alternatives(hint))
    return not is_sequence or any(isinstance(item, list) for item in value)


@cache
def _adapter(cls: type[Plugin]) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def _encode(value: Any) -> Any:
    if isinstance(value, Plugin):
        raise PluginError(f"{value!r} cannot be given here; write its table")
    return str(value)


def article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def plain(value: Any) -> Any:
    """A parameter as JSON values that are equal exactly if the parameters are."""
    if isinstance(value, (Length, BudgetSpec)):
        return value.canonical
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if isinstance(value, Plugin):
            return {**fields, **_code(type(value))}
        return fields
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in sorted(value.items())}
    if isinstance(value, (tuple, list, set, frozenset)):
        return [plain(v) for v in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, Fraction):
        return str(value)
    return value


def _code(plugin: type[Plugin]) -> dict[str, Any]:
    """The code behind a plugin: class, source, and the versions of the libraries that it names.

    The class comes with its top-level package: equal names and revisions of two distributions are two plugins.
    """
    versions = {name: library_version(name) for name in libraries_of(plugin)}
    named = {"libraries": versions} if versions else {}
    return {"class": class_name(plugin), "source": source_hash(plugin), **named}


def class_name(plugin: type[Plugin]) -> str:
    """What identities call the class of a plugin: its top-level package and its own name."""
    return f"{plugin.__module__.partition('.')[0]}.{plugin.__qualname__}"


CONTENT = frozenset({"source", "checkpoint", "imagenet", "content", "fingerprint", "libraries", "revision"})
"""Fields of an identity that no grid states: what code and files hold, and versions."""


def described(fields: Any) -> Any:
    """Identity fields without those that no grid states."""
    if isinstance(fields, Mapping):
        return {k: described(v) for k, v in fields.items() if k not in CONTENT}
    return [described(v) for v in fields] if isinstance(fields, list) else fields


def without_value(plugin: Plugin) -> Any:
    """Identity fields of a plugin whatever the value of its cumulative field."""
    field = cumulative_field(plugin)
    return {k: v for k, v in plain(plugin).items() if k != field}
