"""What a plugin's docstring says: running text, and a text for each parameter."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

_SECTION = re.compile(r"^(Attributes|Args|Returns|Raises|Yields|Example|Examples):\s*$", re.MULTILINE)
_ENTRY = re.compile(r"^ {4}(\w+): *(.*)$")
_ROLE = re.compile(r":\w+:`~?([^`]+)`")


@dataclass(frozen=True)
class Documentation:
    """A docstring in its parts.

    Attributes:
        paragraphs: the running text, each paragraph on one line.
        parameters: text of each parameter by name, from the section `Attributes`.
    """

    paragraphs: tuple[str, ...]
    parameters: dict[str, str]


def read(cls: type) -> Documentation:
    """The documentation of a class; parameters that it inherits are looked up in its base classes."""
    parameters: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        parameters |= _parameters(_own_text(base))
    prose = _SECTION.split(_own_text(cls), maxsplit=1)[0]
    paragraphs = (" ".join(_plain(p).split()) for p in prose.split("\n\n"))
    return Documentation(tuple(p for p in paragraphs if p), parameters)


def first_line(cls: type) -> str:
    """What a class is, in one line; empty without a docstring."""
    return _own_text(cls).strip().partition("\n")[0]


def _own_text(cls: type) -> str:
    """The docstring that a class was written with, not the signature that `dataclass` gives to one without."""
    text = vars(cls).get("__doc__") or ""
    return "" if text.startswith(f"{cls.__name__}(") else inspect.cleandoc(text)


def _parameters(text: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    name = ""
    for line in _section(text, "Attributes").splitlines():
        if entry := _ENTRY.match(line):
            name = entry[1]
            found[name] = [entry[2]]
        elif name:
            found[name].append(line)
    return {name: " ".join(_plain(" ".join(lines)).split()) for name, lines in found.items()}


def _section(text: str, title: str) -> str:
    parts = _SECTION.split(text)
    return next((body for head, body in zip(parts[1::2], parts[2::2], strict=True) if head == title), "")


def _plain(text: str) -> str:
    """Text without reStructuredText's roles: :class:`Length` is Length."""
    return _ROLE.sub(r"\1", text)
