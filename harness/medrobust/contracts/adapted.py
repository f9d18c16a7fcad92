"""Plugin classes made from the signatures of a library: its parameters become fields, its documentation theirs."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import operator
import re
import sys
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, Literal, TypeVar

from ..errors import PluginError
from .plugin import Plugin

P = TypeVar("P", bound=Plugin)
SIMPLE: tuple[type, ...] = (bool, int, float, str)
"""Types that a grid can give as they are."""
_PARAM = re.compile(r"^\s*:param (?:[\w.]+ )?(\w+): *(.*)$")
_ENTRY = re.compile(r"^\s+(?!:)(\w+) ?(?:\([^)]*\))? ?: *(.*)$")
_SECTION = re.compile(r"^\s*(Args|Arguments|Parameters|Attributes):\s*$")


def adapted(
    base: type[P],
    of: Callable[..., Any],
    module: str,
    *,
    name: str = "",
    given: Collection[str] = (),
    fields: Mapping[str, tuple[Any, Any]] = types.MappingProxyType({}),
    renamed: Mapping[str, str] = types.MappingProxyType({}),
    summary: str = "",
    **variables: Any,
) -> type[P]:
    """A plugin class with the parameters of a class or function of a library.

    Types and defaults come from the signature, texts from the docstrings. A parameter that a grid cannot give (a
    function, an array) keeps the library's default. `arguments` of an instance gives what to call `of` with.

    Args:
        base: the contract, or a class derived from it, that says what to do.
        of: the class or function of the library.
        module: where the class will be an attribute under its name, see `Provider`.
        name: its name; by default that of `of`.
        given: parameters that `base` gives itself; they are no fields.
        fields: fields that differ from the signature, or are added to it, as (type, default).
        renamed: names of fields by names of parameters, where a parameter has a name that the contract uses.
        summary: what it is, in one paragraph; by default from the docstring of `of`.
        variables: further class variables, such as `threat`.

    Raises:
        PluginError: if a parameter has no default and is nothing that a grid can give.
    """
    found: list[tuple[str, Any, Any]] = []
    called: dict[str, str] = {}
    texts = _texts(of)
    for parameter in inspect.signature(of).parameters.values():
        field = renamed.get(parameter.name, parameter.name)
        if parameter.name in given or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.name in fields:
            hint, default = fields[parameter.name]
        else:
            default = parameter.default
            hint = _hint(parameter.annotation, default, of)
            if hint is None and default is parameter.empty:
                wanted = str(parameter.annotation).removeprefix("<class '").removesuffix("'>")
                raise PluginError(f"needs `{parameter.name}` ({wanted}), which a grid cannot give")
            if hint is None:
                continue
            default = _fitted(default, hint)
        found.append((field, hint, default))
        called[field] = parameter.name
    found += [(field, *given_) for field, given_ in fields.items() if field not in called.values()]
    space = {
        "name": name or of.__name__,
        "__doc__": _document(summary or _summary(of), {f: texts.get(called.get(f, f), "") for f, _, _ in found}),
        "__module__": module,
        "called": called,
        "adapts": staticmethod(of),
        **variables,
    }
    annotations = {key: ClassVar[Any] for key in space if not key.startswith("_")}
    return dataclasses.make_dataclass(
        name or of.__name__,
        [_dataclass_field(*each) for each in found],
        bases=(base,),
        namespace={**space, "__annotations__": annotations},
        frozen=True,
        kw_only=True,
    )


def arguments(plugin: Plugin) -> dict[str, Any]:
    """What to call the library with: parameters by name, as an adapted plugin has them.

    A value that equals the library's default is passed as the library writes it, so that 1 stays a whole number.
    """
    defaults = {p.name: p.default for p in inspect.signature(plugin.adapts).parameters.values()}  # type: ignore[attr-defined]
    found = {}
    for field, name in plugin.called.items():  # type: ignore[attr-defined]
        value, default = getattr(plugin, field), defaults[name]
        same = type(default) in (*SIMPLE, list, tuple) and (value == default or value == _fitted(default, tuple))
        found[name] = default if same else value
    return found


def _dataclass_field(name: str, hint: Any, default: Any) -> Any:
    return (name, hint) if default is inspect.Parameter.empty else (name, hint, dataclasses.field(default=default))


def _fitted(default: Any, hint: Any) -> Any:
    """A default as a field of that type has it."""
    if isinstance(default, list):
        return tuple(default)
    if type(default) is int and float in (hint, *typing.get_args(hint)) and int not in (hint, *typing.get_args(hint)):
        return float(default)
    return default


def _hint(annotation: Any, default: Any, of: Callable[..., Any]) -> Any:
    """The type of a field; None where a grid cannot give such a value."""
    if isinstance(annotation, str):
        annotation = _evaluated(annotation, of)
    found = _permitted(annotation)
    if default is not inspect.Parameter.empty and default is not None and not _fits(default, found):
        found = _of_value(default)
    if found is None or (default is None and type(None) not in typing.get_args(found)):
        return None if found is None else found | None
    return found


def _evaluated(annotation: str, of: Callable[..., Any]) -> Any:
    text = annotation.strip("'\"")
    space = {**vars(typing), **vars(sys.modules[of.__module__])}
    for part in (text, *text.split("|")):  # names for type checkers alone are not there
        try:
            found = eval(part.strip().strip("'\""), space)
        except Exception:  # noqa: BLE001 - an annotation may be anything
            continue
        return found
    return None


def _permitted(annotation: Any) -> Any:
    """What of a type a grid can give; None if nothing."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in SIMPLE or origin is Literal:
        return annotation
    if origin in (typing.Union, types.UnionType):
        known = [each for each in map(_permitted, inner) if each is not None]
        known = [each for each in known if not (each is int and float in known)]
        optional = type(None) in inner
        return None if not known else functools.reduce(operator.or_, [*known, *([None] if optional else [])])
    if origin is tuple and inner and all(each in SIMPLE or each is Ellipsis for each in inner):
        return types.GenericAlias(tuple, inner)
    if origin is list and inner and inner[0] in SIMPLE:
        return types.GenericAlias(tuple, (inner[0], ...))
    return None


def _of_value(value: Any) -> Any:
    """The type of a default that stands without an annotation."""
    if type(value) in SIMPLE:
        return type(value)
    if isinstance(value, (tuple, list)) and value and all(type(each) is type(value[0]) for each in value):
        return tuple[type(value[0]), ...] if type(value[0]) in SIMPLE else None  # type: ignore[misc]
    return None


def _fits(value: Any, hint: Any) -> bool:
    """Whether a default is of a type, as far as a field is concerned."""
    if hint is None:
        return False
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return value in inner
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is tuple:
        if not isinstance(value, (tuple, list)):
            return False
        wanted = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
        return len(wanted) == len(value) and all(map(_fits, value, wanted))
    return type(value) is hint or (hint is float and type(value) is int)


def _summary(of: Callable[..., Any]) -> str:
    """The first paragraph of a docstring."""
    text = inspect.cleandoc(of.__doc__ or "")
    first = re.split(r"\n\s*\n|\n\s*(?:Args|Arguments|References?|Shape|\|)", text)[0]
    return " ".join(re.sub(r"\s*\[#?\w+\]_", "", first).split())


def _texts(of: Callable[..., Any]) -> dict[str, str]:
    """What docstrings say of each parameter."""
    found: dict[str, list[str]] = {}
    init = vars(of).get("__init__") if isinstance(of, type) else None
    for text in (inspect.cleandoc(each.__doc__ or "") for each in (of, init) if each is not None):
        name, listed = "", False
        for line in text.splitlines():
            if _SECTION.match(line):
                name, listed = "", True
            elif not line.strip() or re.match(r"^\S[^:]*:\s*$", line):
                name, listed = "", listed and not line.strip()
            elif entry := _PARAM.match(line) or (_ENTRY.match(line) if listed else None):
                name = entry[1]
                found[name] = [entry[2]]
            elif line.lstrip().startswith(":"):
                name = ""
            elif name:
                found[name].append(line.strip())
    return {name: " ".join(" ".join(lines).split()) for name, lines in found.items()}


def _document(summary: str, texts: Mapping[str, str]) -> str:
    told = "".join(f"\n    {name}: {text}" for name, text in texts.items() if text)
    return f"{summary}\n\nAttributes:{told}\n" if told else summary
