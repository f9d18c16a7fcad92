"""What makes a class a valid plugin; what is wrong with one, in one sentence."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from ..contracts import Plugin, Preset, cumulative_field
from ..errors import did_you_mean
from .hookspecs import KINDS

RESERVED: Final = ("name", "plugin", "class", "source", "libraries", "fingerprint", "checkpoint")
"""Names that stand in an identity, or in a grid, for something else than a parameter."""


def validation_error(plugin: Any) -> str | None:
    """What is wrong with a plugin class, in one sentence, or None."""
    if not (isinstance(plugin, type) and issubclass(plugin, Plugin)):
        return f"{plugin!r} is not a plugin class; derive it from medrobust.Attack, Dataset, Model or Defense"
    if getattr(plugin, "kind", None) not in KINDS:
        return "is not derived from a contract; derive it from medrobust.Attack, Dataset, Model or Defense"
    if not isinstance(getattr(plugin, "name", None), str) or not plugin.name:
        return "has no class variable `name`"
    if ":" in plugin.name or plugin.name.startswith("@"):
        return f"its name {plugin.name!r} must not contain ':' or begin with '@'"
    if not dataclasses.is_dataclass(plugin) or not plugin.__dataclass_params__.frozen:
        return "is not a frozen dataclass; decorate it with @dataclass(frozen=True)"
    if missing := sorted(getattr(plugin, "__abstractmethods__", ())):
        return f"does not implement {', '.join(missing)}"
    if plugin.kind == "attack" and not hasattr(plugin, "threat"):
        return "declares no `threat: ClassVar[ThreatModel]`"
    if declared := next(_declaration_errors(plugin), None):
        return declared
    if reserved := [f.name for f in dataclasses.fields(plugin) if f.name in RESERVED]:
        return f"has a field '{reserved[0]}', a name that medrobust uses itself; rename it"
    no_default = [f.name for f in dataclasses.fields(plugin) if f.default is f.default_factory is dataclasses.MISSING]
    if no_default and plugin.kind in ("model",):
        return f"fields {', '.join(no_default)} have no default"
    try:
        typing.get_type_hints(plugin)
    except Exception as error:  # noqa: BLE001 - an annotation may be any expression
        return f"has an annotation that cannot be read: {type(error).__name__}: {error}"
    if sum(bool(f.metadata.get("cumulative")) for f in dataclasses.fields(plugin)) > 1:
        return "declares more than one cumulative field"
    if plugin.kind == "attack" and (field := cumulative_field(plugin)) and not hasattr(plugin, "iterates"):
        # A sweep over the field is one run, so an attack that gives its last images only would answer for all values.
        return (
            f"has the cumulative field '{field}' but no method `iterates`; derive it from medrobust.IterativeAttack or "
            "IterativeUniversalAttack, or declare an ordinary field"
        )
    return None


def preset_error(preset: Preset) -> str | None:
    """What is wrong with the fields that a preset fixes, or None."""
    valid = [f.name for f in dataclasses.fields(preset.plugin) if f.init]  # type: ignore[arg-type]
    unknown = next((name for name in preset.fields if name not in valid), None)
    if unknown is not None:
        return f"{preset.plugin.__name__} has no field '{unknown}'{did_you_mean(unknown, valid)}"
    return None


def libraries_of(plugin: type[Plugin]) -> list[str]:
    """Distributions that a plugin class and its bases name, in order."""
    return sorted({name for cls in plugin.__mro__ for name in vars(cls).get("libraries", ())})


@cache
def library_version(name: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def missing_libraries(plugin: type[Plugin]) -> list[str]:
    """Distributions that a plugin names and that are not installed."""
    return [name for name in libraries_of(plugin) if library_version(name) is None]


def _declaration_errors(plugin: type[Plugin]) -> Iterator[str]:
    """What is wrong with the class variables that identity rests on."""
    revision = plugin.revision
    if revision is not None and type(revision) is not int:
        yield f"declares the revision {revision!r}, which is not a whole number"
    for cls in plugin.__mro__:
        libraries = vars(cls).get("libraries", ())
        if not isinstance(libraries, tuple) or not all(isinstance(name, str) for name in libraries):
            yield f'declares the libraries {libraries!r}; write a tuple of names, such as ("foolbox",)'
    size = getattr(plugin, "batch_size", None)
    if plugin.kind == "attack" and size is not None and (type(size) is not int or size < 1):
        yield f"declares the batch size {size!r}; it must be a whole number of at least 1, or None"
