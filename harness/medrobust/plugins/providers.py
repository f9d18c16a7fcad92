"""Providers of plugins: what is wrong with one, and the plugin behind one of its names."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ..contracts import Plugin, Preset, Provider
from ..errors import PluginError, did_you_mean
from .checks import preset_problem, problems_of
from .docstrings import first_line
from .hookspecs import KINDS
from .libraries import libraries_of, library_version
from .registered import Origin, RegisteredPlugin, cause_of

_PREFIX: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(eq=False)
class Library:
    """A provider that is registered, and what it has been asked for.

    Attributes:
        provider: the provider.
        origin: who offers it.
    """

    provider: Provider
    origin: Origin
    _known: dict[str, RegisteredPlugin] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        return self.provider.prefix

    @property
    def kind(self) -> str:
        return self.provider.kind

    @property
    def version(self) -> str | None:
        """The installed version of the library; None if it is not installed."""
        return library_version(self.provider.library)

    @property
    def install(self) -> str:
        """The command that installs it."""
        return self.provider.install or f"pip install {self.provider.library}"

    @property
    def used(self) -> Iterator[RegisteredPlugin]:
        """The plugins that were asked for so far."""
        yield from {each.name: each for each in self._known.values()}.values()

    def names(self) -> list[str]:
        """All its names, sorted.

        Raises:
            PluginError: if the library is not installed or cannot be imported.
        """
        self._require()
        try:
            return sorted(set(self.provider.names()))
        except PluginError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(f"the names of '{self.prefix}' cannot be listed: {cause_of(error)}") from error

    def plugin(self, name: str) -> RegisteredPlugin:
        """The plugin of a name, without the prefix.

        Raises:
            PluginError: if there is none, with the nearest name, or if it cannot be used, with the reason.
        """
        if name not in self._known:
            self._known[name] = self._made(name)
        return self._known[name]

    def _made(self, name: str) -> RegisteredPlugin:
        self._require()
        whole = f"{self.prefix}:{name}"
        try:
            offered = self.provider.plugin(name)
        except KeyError:
            near = did_you_mean(whole, (f"{self.prefix}:{each}" for each in self.names()))
            told = f". 'medrobust plugins --provider {self.prefix}' lists all"
            raise PluginError(f"no {self.kind} is called '{whole}'{near}{told}") from None
        except PluginError as error:
            raise PluginError(f"{self.kind} '{whole}': {error}") from None
        except (Exception, SystemExit) as error:
            raise PluginError(f"{self.kind} '{whole}' cannot be had: {cause_of(error)}") from error
        preset = offered if isinstance(offered, Preset) else None
        plugin = preset.plugin if preset else offered
        assert isinstance(plugin, type)
        if wrong := self._problem(offered, plugin):
            raise PluginError(f"{self.kind} '{whole}': {wrong}")
        return RegisteredPlugin(
            f"{self.prefix}:{preset.name if preset else plugin.name}",
            plugin,
            self.origin,
            tuple(preset.fields.items()) if preset else (),
            (preset.summary if preset else "") or first_line(plugin),
            (*(preset.references if preset else ()), *plugin.references),
        )

    def _problem(self, offered: type[Plugin] | Preset, plugin: type[Plugin]) -> str:
        """What is wrong with what the provider gave; empty if nothing is."""
        if problems := problems_of(plugin) or (preset_problem(offered) if isinstance(offered, Preset) else []):
            return problems[0].text
        if plugin.kind != self.kind:
            return f"is of the kind {plugin.kind}, which is not that of its provider"
        if self.provider.library not in libraries_of(plugin):
            return f"does not name '{self.provider.library}' in `libraries`, whose version belongs to its identity"
        if getattr(sys.modules.get(plugin.__module__), plugin.__qualname__, None) is not plugin:
            return (
                f"is no attribute of its module {plugin.__module__}, where other processes look for it; write a "
                "function `__getattr__(name)` there that makes it"
            )
        return ""

    def _require(self) -> None:
        if self.version is None:
            raise PluginError(
                f"'{self.prefix}:...' needs {self.provider.library}, which is not installed: {self.install}"
            )


def provider_problem(offered: Any) -> str:
    """What is wrong with what a hook offers as a provider; empty if nothing is."""
    if not (isinstance(offered, type) and issubclass(offered, Provider)):
        return f"{offered!r} is not a class derived from medrobust.Provider"
    if inspect.isabstract(offered):
        return f"does not implement {', '.join(sorted(offered.__abstractmethods__))}"
    for name in ("prefix", "kind", "library"):
        if not isinstance(getattr(offered, name, None), str):
            return f'has no class variable `{name}`; write `{name}: ClassVar[str] = "..."`'
    if not _PREFIX.fullmatch(offered.prefix):
        return f"its prefix {offered.prefix!r} must be lower case letters, digits, '.', '_' and '-'"
    if offered.kind not in KINDS:
        return f"its kind {offered.kind!r} is none{did_you_mean(offered.kind, KINDS)}"
    return ""
