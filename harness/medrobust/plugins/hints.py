"""What the type of a parameter says: in words, and whether a value fits it."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from functools import cache
from typing import Annotated, Any, Final, Literal

from ..contracts import BudgetSpec, Length, Plugin
from ..errors import did_you_mean
from .ranges import range_of

WORDS: Final[dict[Any, str]] = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true or false",
    Length: "length",
    BudgetSpec: "budget",
}


@cache
def hints_of(cls: type) -> dict[str, Any]:
    """The types of a class's attributes, with their ranges.

    Raises:
        Exception: whatever an annotation that cannot be read raises.
    """
    return typing.get_type_hints(cls, include_extras=True)


def default_of(field: dataclasses.Field[Any]) -> Any:
    """The default of a field, or `dataclasses.MISSING`."""
    if field.default is not dataclasses.MISSING or field.default_factory is dataclasses.MISSING:
        return field.default
    return field.default_factory()


def without_range(hint: Any) -> Any:
    """`int` for `Annotated[int, Field(ge=1)]`."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The types that a union is made of; the type itself, if it is none."""
    hint = without_range(hint)
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def in_words(hint: Any) -> str:
    """A type as people call it: `whole number (at least 1)`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        permitted = range_of(hint)
        return f"{in_words(arguments[0])} ({permitted})" if permitted else in_words(arguments[0])
    if origin is Literal:
        return " or ".join(json.dumps(a) for a in arguments)
    if len(alternatives(hint)) > 1:
        return " or ".join(in_words(a) for a in arguments if a is not type(None))
    if origin in (tuple, list, set, frozenset):
        return f"list of {in_words(without_range(arguments[0]))}s" if arguments else "list"
    if not isinstance(hint, type):
        return str(hint)
    if issubclass(hint, Plugin):
        return getattr(hint, "kind", "plugin")
    if hint in WORDS:
        return WORDS[hint]
    if dataclasses.is_dataclass(hint):
        return f"table with {', '.join(f.name for f in dataclasses.fields(hint))}"
    return hint.__name__


def misfit(hint: Any, value: Any) -> str:
    """What a value of this type must be, where this one is not so; empty where it fits, or where nobody can tell."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        permitted = range_of(hint)
        outside = permitted is not None and isinstance(value, int | float) and value not in permitted
        return misfit(arguments[0], value) or (f"it must be {permitted}" if outside else "")
    if origin is Literal:
        if any(value == a and type(value) is type(a) for a in arguments):
            return ""
        near = did_you_mean(value, arguments) if isinstance(value, str) else ""
        return f"it must be {in_words(hint)}{near if near.startswith('; did') else ''}"
    if len(choices := alternatives(hint)) > 1:
        wrong = [misfit(each, value) for each in choices if each is not type(None)]
        if "" in wrong or (value is None and len(wrong) < len(choices)):
            return ""
        told = wrong[0] if len(wrong) == 1 else f"it must be {_article(in_words(hint))}"
        return f"{told}, or None" if len(wrong) < len(choices) else told
    if origin in (tuple, list, set, frozenset):
        return _misfit_of_items(hint, value)
    if hint in (int, str, bool, float):
        fits = type(value) in (int, float) if hint is float else type(value) is hint
        return "" if fits else f"it must be {_article(in_words(hint))}"
    if hint in (None, type(None)):
        return "" if value is None else "it must be None"
    if not isinstance(hint, type):
        return ""
    return _misfit_of_fields(value) if isinstance(value, hint) else _instance_wanted(hint, value)


def _misfit_of_items(hint: Any, value: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if not isinstance(value, origin):
        example = " such as ('a', 'b') or ('a',)" if origin is tuple else ""
        return f"it must be a {origin.__name__}{example}"
    if origin is tuple and arguments[-1:] != (Ellipsis,):
        pairs = list(zip(arguments, value, strict=False))
        if len(arguments) != len(value):
            return f"it must have {len(arguments)} items"
    else:
        pairs = [(arguments[0], item) for item in value] if arguments else []
    return next((f"of its item {item!r}: {wrong}" for inner, item in pairs if (wrong := misfit(inner, item))), "")


def _misfit_of_fields(value: Any) -> str:
    """What is wrong with the fields of a dataclass that stands as a value."""
    cls: type = type(value)
    if not dataclasses.is_dataclass(value) or isinstance(value, Length | BudgetSpec):
        return ""
    try:
        hints = hints_of(cls)
    except Exception:  # noqa: BLE001 - an annotation may be any expression, and this class is not the one examined
        return ""
    for field in dataclasses.fields(value):
        if wrong := misfit(hints[field.name], getattr(value, field.name)):
            return f"of its field {field.name}: {wrong}"
    return ""


def _instance_wanted(hint: type, value: Any) -> str:
    if issubclass(hint, Plugin):
        return f"it must be an instance of a class derived from {hint.__name__}"
    if hint in (Length, BudgetSpec):
        parsed: Any = hint
        try:
            parsed.parse(value)
        except (ValueError, TypeError):
            return f"it must be a {hint.__name__}"
        return f"it must be a {hint.__name__}: write {hint.__name__}.parse({value!r})"
    return f"it must be {_article(hint.__name__)}"


def _article(words: str) -> str:
    if words == WORDS[bool]:
        return words
    return f"an {words}" if words[0].lower() in "aeiou" else f"a {words}"
