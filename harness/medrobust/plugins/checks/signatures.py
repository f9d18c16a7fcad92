"""The methods of a plugin take what the host gives them: the parameters of the contract, in its order."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from inspect import Parameter
from typing import Any, Final

from ...contracts import Plugin
from .problem import Problem

_BY_PLACE: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def signature_problems(plugin: type[Plugin]) -> Iterator[Problem]:
    """Methods that cannot be called as the host calls them."""
    for name, contract in _contract_members(plugin).items():
        owner = next(cls for cls in plugin.__mro__ if name in vars(cls))
        member = vars(owner)[name]
        if member is contract:
            continue
        if isinstance(contract, property):
            if inspect.isfunction(member):
                yield Problem.at(owner, name, f"`{name}` must be a property; write @property above it")
        elif isinstance(member, staticmethod) or inspect.isfunction(member):
            if text := _mismatch(name, contract, member):
                yield Problem.at(owner, name, text)
        elif not callable(member) and not hasattr(member, "__get__"):
            yield Problem.at(owner, name, f"`{name}` is {member!r}; it must be a method")


def _contract_members(plugin: type[Plugin]) -> dict[str, Any]:
    """Public methods and properties of its contracts, those of the most derived contract first."""
    found: dict[str, Any] = {}
    for base in plugin.__mro__:
        if base.__module__.startswith("medrobust.contracts"):
            for name, member in vars(base).items():
                if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                    found.setdefault(name, member)
    return found


def _mismatch(name: str, contract: Any, member: Any) -> str:
    """In what the parameters of a method differ from those that its contract gives it; empty if in nothing."""
    wanted = list(inspect.signature(contract).parameters)[1:]
    function, bound = (member.__func__, 0) if isinstance(member, staticmethod) else (member, 1)
    parameters = list(inspect.signature(function).parameters.values())[bound:]
    by_place = [p for p in parameters if p.kind in _BY_PLACE]
    takes_rest = any(p.kind is Parameter.VAR_POSITIONAL for p in parameters)
    # A parameter that is not used may say so by an underscore.
    fits = all(p.name in (w, f"_{w}", "_") for p, w in zip(by_place, wanted, strict=False))
    enough = takes_rest or len(by_place) >= len(wanted)
    more = [p for p in by_place[len(wanted) :] if p.default is Parameter.empty]
    more += [p for p in parameters if p.kind is Parameter.KEYWORD_ONLY and p.default is Parameter.empty]
    if fits and enough and not more:
        return ""
    given = [p.name for p in parameters]
    lacking = [f"`{w}`" for w in wanted if w not in given] if not takes_rest else []
    named = [p for p in parameters if p.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)]
    unknown = [f"`{p.name}`" for p in named if p.name.lstrip("_") not in wanted and p.default is Parameter.empty]
    told = [f"lacks {', '.join(lacking)}"] if lacking else []
    told += [f"has {', '.join(unknown)}, which it is not given"] if unknown else []
    what = " and ".join(told) or "has its parameters in another order"
    return f"`{name}` {what}; write def {name}({', '.join(['self', *wanted])})"
