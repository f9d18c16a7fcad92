"""All plugins on offer: found where they are installed or named, and looked up by kind and name."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Final

from ..contracts import Plugin
from ..errors import PluginError, did_you_mean
from . import builtin, declared, local
from .contract_version import changes_since, unsuited
from .entry_points import OWN, Door, doors, strictly
from .hookspecs import GROUP, KINDS
from .offers import SEE, offers_of
from .providers import Library
from .registered import LoadError, Origin, RegisteredPlugin, cause_of, remedy_for

FILE: Final = "local file"
"""The version of a plugin that comes from a local file."""


class Registry:
    """All plugins on offer, by kind and name.

    Args:
        strict: raise at the first fault instead of collecting it (for authors and CI), as the environment variable
            MEDROBUST_STRICT=1 demands of every registry.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.faults: list[LoadError] = []
        self._strict = strict or strictly()
        self._offers: dict[str, list[RegisteredPlugin]] = {kind: [] for kind in KINDS}
        self._libraries: dict[tuple[str, str], Library] = {}
        self._papers: dict[str, tuple[Origin, Path]] = {}
        self._files: set[str] = set()
        self._folders: set[Path] = set()

    # Discovery -------------------------------------------------------------------------------------------------------

    @classmethod
    def discover(cls, files: Iterable[Path] = (), *, strict: bool = False) -> Registry:
        """Everything installed, then the local `files`.

        MEDROBUST_DISABLE_PLUGINS=1 leaves out plugins of other distributions.
        """
        registry = cls(strict=strict)
        registry.add(builtin, "medrobust", _own_version(), bundled=True)
        registry.load_entry_points()
        for file in files:
            registry.load_file(Path(file))
        return registry

    def load_entry_points(self) -> None:
        """Load the entry-point group `medrobust` of every installed distribution."""
        for door in doors(GROUP):
            self._enter(door)

    def _enter(self, door: Door) -> None:
        """Load the module of one entry point."""
        bundled = door.distribution == OWN
        origin = Origin(door.distribution, door.version, bundled=bundled)
        contract = declared.of_entry_point(door.point)
        if wrong := unsuited(contract):
            self._fail(LoadError(origin, str(door), *wrong))
            return
        since = changes_since(contract)  # type: ignore[arg-type]
        try:
            module = door.point.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's import may raise anything
            self._fail(
                LoadError.of(origin, str(door), error, f"{remedy_for(error, door.distribution)} {since}".rstrip())
            )
            return
        if not isinstance(module, ModuleType):
            cause = f"names {type(module).__name__} '{door.point.attr}', and not a module"
            self._fail(LoadError(origin, str(door), cause, f"Name the module that has the hooks. {SEE}"))
        elif not self.add(module, door.distribution, door.version, bundled=bundled, since=since):
            cause = (
                "has no hook and defines no plugin, so nothing of it is used; a module with "
                "`@hookimpl def medrobust_attacks(): return [MyAttack]` is what to name here"
            )
            self._fail(LoadError(origin, str(door), cause, SEE))

    def load_file(self, file: Path) -> None:
        """Load one local file that implements hooks, or simply defines plugin classes.

        Raises:
            PluginError: if the file is missing, cannot be imported or offers nothing; a file that was named is wanted.
        """
        if not file.is_file():
            raise PluginError(f"--plugin {file}: no such file")
        file = file.absolute()
        contract = declared.of_file(file)
        if wrong := unsuited(contract):
            raise PluginError(f"--plugin {file}: {'. '.join(wrong)}")
        since = changes_since(contract)  # type: ignore[arg-type]
        if local.module_name(file) in self._files:
            raise PluginError(f"--plugin {file}: another file of this name is loaded already; rename one of them")
        if any(o.distribution == file.stem and o.version != FILE for o in self.offers()):
            raise PluginError(f"--plugin {file}: has the name of the distribution '{file.stem}'; rename the file")
        if library := next(iter(self.libraries(file.stem)), None):
            told = f"is the prefix of the plugins of {library.provider.library}"
            raise PluginError(f"--plugin {file}: '{file.stem}' {told}; rename the file")
        self._files.add(local.module_name(file))
        if file.parent not in self._folders:
            self._folders.add(file.parent)
            local.open_folder(file.parent)
        try:
            module = local.load(file)
        except (Exception, SystemExit) as error:
            cause = f"{local.hidden_neighbour(file) or cause_of(error)}{since and f'. {since}'}"
            raise PluginError(f"--plugin {file}: {cause}") from error
        if hidden := local.hidden_neighbour(file):
            raise PluginError(f"--plugin {file}: {hidden}")
        if not self.add(module, file.stem, FILE, bundled=False, since=since):
            raise PluginError(
                f"--plugin {file}: offers no plugin; define a class derived from medrobust.Attack, Dataset, Model or "
                "Defense with a class variable `name`"
            )

    def add(self, module: ModuleType, distribution: str, version: str, *, bundled: bool, since: str = "") -> bool:
        """Register what one module offers; a faulty offer is recorded and left out.

        Args:
            module: the module.
            distribution: whose it is.
            version: of the distribution.
            bundled: whether it comes with medrobust.
            since: what has changed since the version of the contract that it was written for; told with its faults.

        Returns:
            Whether the module has a hook or a plugin class, sound or not.
        """
        origin = Origin(distribution, version, bundled)
        found = offers_of(module, origin)
        for fault in found.errors:
            self._fail(replace(fault, remedy=f"{fault.remedy} {since}") if since else fault)
        for offer in found.plugins:
            self._take(offer)
        for library in found.libraries:
            self._take_library(library)
        for folder in found.papers:
            owner, _ = self._papers.setdefault(folder.name, (origin, folder))
            if owner != origin:
                cause = f"the paper '{folder.name}' is that of {owner.distribution}"
                self._fail(LoadError(origin, f"paper {folder}", cause, "Rename the folder."))
        return not found.silent

    def _take_library(self, library: Library) -> None:
        """Register a provider, whose prefix must not stand for anything else."""
        prefix, origin = library.prefix, library.origin
        others = [each for each in self.libraries(prefix) if each.origin != origin or each.kind == library.kind]
        cause = ""
        if others:
            cause = f"the prefix '{prefix}' is that of a provider of {others[0].origin.distribution}"
        elif any(o.distribution == prefix for o in self.offers()):
            cause = f"the prefix '{prefix}' is the name of a distribution that offers plugins"
        if cause:
            self._fail(
                LoadError(origin, f"provider {type(library.provider).__name__}", cause, "Choose another prefix.")
            )
        else:
            self._libraries[prefix, library.kind] = library

    def _take(self, offer: RegisteredPlugin) -> None:
        if library := next(iter(self.libraries(offer.distribution)), None):
            cause = f"'{offer.distribution}:' stands for what {library.origin.distribution} offers of a library"
            remedy = "Offer it from a distribution of another name."
            self._fail(LoadError(offer.origin, f"plugin {offer.name}", cause, remedy))
        elif any(o.name == offer.name and o.distribution == offer.distribution for o in self._offers[offer.kind]):
            cause = f"offers {offer.kind} '{offer.name}' twice"
            self._fail(LoadError(offer.origin, f"plugin {offer.name}", cause, "Rename one of the two."))
        else:
            self._offers[offer.kind].append(offer)
            if not offer.bundled and any(o.bundled for o in self._named(offer.kind, offer.name)):
                cause = f"'{offer.name}' alone means the {offer.kind} that comes with medrobust"
                remedy = f"Write '{offer.qualified}' in grids, or let its authors rename it."
                self._fail(LoadError(offer.origin, f"plugin {offer.name}", cause, remedy, usable=True))

    def replace(self, plugin: RegisteredPlugin) -> None:
        """Register a plugin, in place of one of the same name and origin."""
        others = [o for o in self._offers[plugin.kind] if o.qualified != plugin.qualified]
        self._offers[plugin.kind] = [*others, plugin]

    def _fail(self, fault: LoadError) -> None:
        if self._strict:
            raise PluginError(str(fault)) from fault.error
        self.faults.append(fault)

    # Lookup ----------------------------------------------------------------------------------------------------------

    def offers(self, kind: str | None = None) -> Iterator[RegisteredPlugin]:
        """All offers, of one kind or of all, bundled ones first."""
        for each in KINDS if kind is None else (kind,):
            yield from sorted(self._offers[each], key=lambda o: (not o.bundled, o.distribution, o.name))

    def libraries(self, prefix: str | None = None) -> list[Library]:
        """The providers, of one prefix or all; asking for them imports no library."""
        found = (library for library in self._libraries.values() if prefix in (None, library.prefix))
        return sorted(found, key=lambda each: (each.prefix, KINDS.index(each.kind)))

    def papers(self) -> dict[str, Path]:
        """Paper folders by name."""
        return {name: folder for name, (_, folder) in self._papers.items()}

    def find(self, kind: str, name: str) -> RegisteredPlugin:
        """The offer of that name; `distribution:name` always works, a bundled bare name is never shadowed.

        `prefix:name` is asked of the provider with that prefix, which imports its library.

        Raises:
            PluginError: unknown name (with the nearest valid one), a bare name that several strangers offer, or a
                library that is not installed.
        """
        prefix, _, inner = name.partition(":")
        library = self._libraries.get((prefix, kind))
        if library and inner:
            return library.plugin(inner)
        found = self._matching(kind, name)
        if len(found) == 1:
            return found[0]
        if len(found) > 1:
            raise PluginError(self.clash(found[0]))
        broken = "".join(f" Not loaded: {fault}" for fault in self.faults if not fault.usable)
        if (name, kind) in self._libraries:
            raise PluginError(
                f"'{name}' is a library: write '{name}:NAME'; 'medrobust plugins --provider {name}' lists them"
            )
        known = (o.name for o in self._offers[kind])
        raise PluginError(f"no {kind} is called '{name}'{did_you_mean(name, known)}.{broken}")

    def _named(self, kind: str, name: str) -> list[RegisteredPlugin]:
        return [o for o in self._offers[kind] if o.name == name]

    def _matching(self, kind: str, name: str) -> list[RegisteredPlugin]:
        if ":" in name:
            return [o for o in self._offers[kind] if o.qualified == name]
        named = self._named(kind, name)
        return [o for o in named if o.bundled] or named

    def short_name(self, offer: RegisteredPlugin) -> str:
        """The shortest name by which a grid can call a plugin; qualified where its bare name means another one."""
        return offer.name if self._matching(offer.kind, offer.name) == [offer] else offer.qualified

    def clash(self, offer: RegisteredPlugin) -> str:
        """That several strangers offer a name and what to write instead, where that is so; else empty."""
        meant = self._matching(offer.kind, offer.name)
        if len(meant) < 2:
            return ""
        choices = " or ".join(f"'{o.qualified}'" for o in meant)
        return f"{offer.kind} '{offer.name}' is offered by several distributions; write {choices}"

    def registered(self, plugin: Plugin) -> RegisteredPlugin:
        """The offer that an instance was made from; of several, the one that fixes most of its fields.

        Raises:
            PluginError: if nobody offers its class.
        """
        used = (offer for library in self._libraries.values() for offer in library.used)
        known: list[RegisteredPlugin] = [*self._offers.get(plugin.kind, ()), *used]
        mine = [o for o in known if o.plugin is type(plugin)]
        fitting = [o for o in mine if all(getattr(plugin, k) == v for k, v in o.preset)]
        if not fitting:
            raise PluginError(f"{plugin.kind} '{plugin.title}' is offered by no plugin")
        return max(fitting, key=lambda o: len(o.preset))


def load_local_files(files: Iterable[Path]) -> None:
    """Load local plugin files that this process has not loaded yet, so that their classes can be unpickled."""
    for file in files:
        if local.module_name(file) not in sys.modules:
            Registry().load_file(file)


@cache
def _own_version() -> str:
    try:
        return importlib.metadata.version("medrobust")
    except importlib.metadata.PackageNotFoundError:
        return "source tree"
