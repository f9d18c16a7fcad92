"""What every plugin is: a frozen dataclass whose fields are its parameters."""

from __future__ import annotations

import dataclasses
import inspect
from abc import ABC
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict, GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from .reference import Reference

Resolver = Callable[[type["Plugin"], Any], "Plugin"]
"""Turns a nested spec (a name or a table) into an instance of the contract a field asks for."""


class Plugin(ABC):
    """Base of all contracts.

    A concrete plugin is a frozen dataclass with a class variable `name`; its fields are its parameters (typed,
    defaulted, validated when a grid is read), its docstring is its documentation. A type with a range, such as `Count`,
    says which values are permitted.
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    revision: ClassVar[int | None] = None
    """Replaces the source in a cell's identity, if the class itself declares it: raise it when behaviour changes. A
    subclass does not inherit it. Without it the source counts: the class's module, what that imports from its own
    distribution or from the folder of its file, and the data files it reads there; every edit of these takes effect."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Distributions whose installed versions belong to a cell's identity, such as `("foolbox",)`, because the results
    depend on them. Those of base classes count as well. If one is not installed, the plugin is not loaded."""
    repeatable: ClassVar[bool] = True
    """Whether equal seeds give equal records on one machine. A plugin that stops after a time, asks a service or adds
    up in any order declares False, and every table says so below its numbers."""
    references: ClassVar[tuple[Reference, ...]] = ()
    """What to cite where results of it are published; `medrobust cite` lists it."""
    licence: ClassVar[str] = ""
    """Terms of what is not code: of images, of weights. The code has the licence of its distribution."""
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    @property
    def title(self) -> str:
        """The name shown in tables: that of the class, unless one class offers several names."""
        return self.name

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A field typed with a contract takes a nested spec; a field typed with a concrete plugin takes its table."""
        if dataclasses.is_dataclass(cls) and not inspect.isabstract(cls):
            return handler(source)
        return core_schema.with_info_plain_validator_function(lambda value, info: _nested(cls, value, info))


def _nested(contract: type[Plugin], value: Any, info: ValidationInfo) -> Plugin:
    if isinstance(value, contract):
        return value
    if not isinstance(info.context, Mapping) or "resolve" not in info.context:
        raise ValueError(f"expected {contract.kind} plugin, got {value!r}")
    resolve: Resolver = info.context["resolve"]
    return resolve(contract, value)


@dataclasses.dataclass(frozen=True)
class Preset:
    """One more name for a plugin class: `Preset("resnet50", TorchvisionModel, {"architecture": "resnet50"})`.

    Preset fields are fixed: a grid cannot set them. `references` are cited beside those of the class.
    """

    name: str
    plugin: type[Plugin]
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    summary: str = ""
    references: tuple[Reference, ...] = ()


def unrepeatable(plugin: Plugin) -> list[str]:
    """The titles of a plugin and of those that it is made of whose results equal seeds need not repeat."""
    found = [] if plugin.repeatable else [plugin.title]
    for each in dataclasses.fields(plugin):  # type: ignore[arg-type]
        value = getattr(plugin, each.name)
        for part in value if isinstance(value, tuple | list) else (value,):
            if isinstance(part, Plugin):
                found += unrepeatable(part)
    return list(dict.fromkeys(found))


def cumulative(default: int) -> Any:
    """Declare an integer field of which a run at n also gives every smaller value (steps, passes, iterations).

    A sweep over such a field is one run, and each value has a cell of its own. The plugin must give the same result
    after k steps whatever the number of steps asked for.
    """
    return dataclasses.field(default=default, metadata={"cumulative": True})


def cumulative_field(plugin: type[Plugin] | Plugin) -> str | None:
    """Name of the plugin's cumulative field, if it has one (at most one is allowed)."""
    names = [f.name for f in dataclasses.fields(plugin) if f.metadata.get("cumulative")]  # type: ignore[arg-type]
    return names[0] if names else None
