"""A whole library of plugins: its members are called `prefix:NAME` in a grid, and found when one of them is used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from .plugin import Plugin, Preset


class Provider(ABC):
    """Offers what a library has as plugins, by name, without naming them one by one.

    Neither method is called, and so the library need not be imported, before a grid uses one of its names or somebody
    asks for the list. A library of several kinds has a provider of each, with the same prefix.
    """

    prefix: ClassVar[str]
    """What stands before the colon: `foolbox` for `foolbox:LinfPGD`. It belongs to one distribution."""
    kind: ClassVar[str]
    """The kind of the plugins: `attack`, `model`, ..."""
    library: ClassVar[str]
    """The distribution that has to be installed. Every plugin names it in `libraries`, so that the installed version
    belongs to the identity of results."""
    install: ClassVar[str] = ""
    """What to type where it is not installed; by default `pip install` with the name of the library."""

    twins: ClassVar[Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]] = MappingProxyType({})
    """Of attacks, those that a bundled attack does too: by name, the fields of the library's and the table of ours with
    which both are the same. `medrobust adapters check` shows them side by side."""

    tried_with: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})
    """Of attacks, by name, fields with which `medrobust adapters check` tries one that with its own would take too
    long, and that smaller whole numbers do not make fast enough."""

    @abstractmethod
    def names(self) -> Iterable[str]:
        """Every name that stands behind the prefix. May import the library."""

    @abstractmethod
    def plugin(self, name: str) -> type[Plugin] | Preset:
        """The plugin of a name: a class, or a preset of one. May import the library.

        The class is an attribute of the module that it says it is defined in, as other processes look it up there: a
        module whose classes are made has a function `__getattr__` that makes them. A class or a preset that is called
        otherwise than `name` is taken as what `name` is another word for.

        Raises:
            KeyError: if there is none of that name.
            PluginError: if there is one that cannot be used, with the reason.
        """
