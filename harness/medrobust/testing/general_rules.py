"""Rules for plugins of every kind: what they say of themselves."""

from __future__ import annotations

import dataclasses

from ..contracts import Plugin
from ..plugins.checks import problems_of
from ..plugins.docstrings import read
from .rules import Broken, Rule, rule


@rule("declarations")
def declarations(plugin: Plugin) -> None:
    """Its class, its fields and its declarations are as the contract wants them."""
    if problems := problems_of(type(plugin)):
        raise Broken("; ".join(f"{p.text} ({p.place})" if p.place else p.text for p in problems))


@rule("documented")
def documented(plugin: Plugin) -> None:
    """Its docstring says what it is, and what each parameter means."""
    told = read(type(plugin))
    if not told.paragraphs:
        raise Broken("its class has no docstring")
    fields = [f.name for f in dataclasses.fields(plugin)]  # type: ignore[arg-type]
    if silent := [name for name in fields if not told.parameters.get(name)]:
        raise Broken(f"its docstring has no line for '{silent[0]}' under 'Attributes:'")


@rule("frozen")
def frozen(plugin: Plugin) -> None:
    """It is frozen and hashable, and equal to another one with equal fields."""
    copy = dataclasses.replace(plugin)  # type: ignore[type-var]
    if hash(copy) != hash(plugin) or copy != plugin:
        raise Broken("a second one with equal fields has another hash, or is not equal")


RULES: tuple[Rule, ...] = (declarations, documented, frozen)
