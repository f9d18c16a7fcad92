"""Discovery and lookup of plugins, with every fault kept to the plugin that has it."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from ..contracts import Plugin, Preset
from ..errors import PluginError, did_you_mean
from ..plugins import builtin, hookspecs, local
from .hookspecs import GROUP, KINDS
from .tracebacks import own_line, show
from .validation import missing_libraries, preset_error, validation_error

_OFFERS = ("medrobust_datasets", "medrobust_models", "medrobust_attacks", "medrobust_defenses", "medrobust_probes")


@dataclass(frozen=True)
class RegisteredPlugin:
    """A plugin under one name, with where it comes from.

    Attributes:
        name: the name used in grids.
        plugin: the class.
        preset: fields fixed by the registration.
        distribution: the distribution (or local file) it comes from.
        version: version of the distribution.
        bundled: whether it comes with medrobust; a bundled bare name is never shadowed.
    """

    name: str
    plugin: type[Plugin]
    preset: tuple[tuple[str, Any], ...]
    distribution: str
    version: str
    bundled: bool
    summary: str

    @property
    def kind(self) -> str:
        return self.plugin.kind

    @property
    def qualified(self) -> str:
        """The name that always works: `distribution:name`."""
        return f"{self.distribution}:{self.name}"


@dataclass(frozen=True)
class LoadError:
    """A plugin, or a whole entry point, that cannot be used; the run goes on without it."""

    distribution: str
    version: str
    where: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}: {self.where}: {self.cause}. {self.remedy}"


class Registry:
    """All plugins on offer, by kind and name.

    Args:
        strict: raise at the first fault instead of collecting it (for authors and CI).
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.faults: list[LoadError] = []
        self._strict = strict
        self._offers: dict[str, list[RegisteredPlugin]] = {kind: [] for kind in KINDS}
        self._papers: list[tuple[str, Path]] = []
        self._files: set[str] = set()
        self._folders: set[Path] = set()
        self._clashes: dict[tuple[str, str], tuple[RegisteredPlugin, list[RegisteredPlugin]]] = {}
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)

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
        own_only = os.environ.get("MEDROBUST_DISABLE_PLUGINS", "") not in ("", "0")
        for point in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda p: (_owner(p)[0], p.name)):
            distribution, version = _owner(point)
            if own_only and distribution != "medrobust":
                continue
            try:
                module = point.load()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's import may raise anything
                remedy = f"Reinstall or remove it (pip uninstall {distribution}), or report it to its authors."
                self._load_error(distribution, version, f"entry point '{point.name}' ({point.value})", error, remedy)
                continue
            self.add(module, distribution, version, bundled=distribution == "medrobust")

    def load_file(self, file: Path) -> None:
        """Load one local file that implements hooks, or simply defines plugin classes.

        Raises:
            PluginError: if the file is missing, cannot be imported or offers nothing; a file that was named is wanted.
        """
        if not file.is_file():
            raise PluginError(f"--plugin {file}: no such file")
        file = file.absolute()
        if local.module_name(file) in self._files:
            raise PluginError(f"--plugin {file}: another file of this name is loaded already; rename one of them")
        self._files.add(local.module_name(file))
        if file.parent not in self._folders:
            self._folders.add(file.parent)
            local.open_folder(file.parent)
        try:
            module = local.load(file)
        except (Exception, SystemExit) as error:
            raise PluginError(f"--plugin {file}: {local.hidden_neighbour(file) or cause_of(error)}") from error
        if hidden := local.hidden_neighbour(file):
            raise PluginError(f"--plugin {file}: {hidden}")
        faults = len(self.faults)
        if not self.add(module, file.stem, "local file", bundled=False) and len(self.faults) == faults:
            raise PluginError(
                f"--plugin {file}: offers no plugin; define a class derived from medrobust.Attack, Dataset, Model or "
                "Defense with a class variable `name`"
            )

    def add(self, module: ModuleType | object, distribution: str, version: str, *, bundled: bool) -> bool:
        """Register what one module offers; a faulty offer is recorded and left out.

        Returns:
            Whether there was anything on offer.
        """
        try:
            self._manager.register(module)
        except Exception as error:  # noqa: BLE001 - misspelt or ill-formed hooks
            self._load_error(
                distribution, version, f"module {getattr(module, '__name__', module)}", error, "Fix its hooks."
            )
            return False
        hooks = {
            caller.name: impl
            for caller in self._manager.get_hookcallers(module) or ()
            for impl in caller.get_hookimpls()
            if impl.plugin is module
        }
        for name in set(hooks) - {"medrobust_papers", *_OFFERS}:
            known = [*_OFFERS, "medrobust_papers"]
            self._load_error(
                distribution,
                version,
                f"hook '{name}'",
                PluginError("no such hook" + did_you_mean(name, known)),
                "Rename it.",
            )
        functions: dict[str, Callable[..., Any]] = {name: impl.function for name, impl in hooks.items()}
        offered = [(hook, functions[hook]) for hook in _OFFERS if hook in functions]
        if not hooks and isinstance(module, ModuleType):
            classes = _classes_of(module)
            offered = [("classes", lambda: classes)] if classes else []
        for hook, function in offered:
            try:
                offers = list(function())
            except (Exception, SystemExit) as error:  # noqa: BLE001
                self._load_error(distribution, version, f"hook '{hook}'", error, "Report it to its authors.")
                continue
            for offer in offers:
                self._offer(offer, distribution, version, bundled=bundled)
        if "medrobust_papers" in hooks:
            try:
                self._papers += [(distribution, Path(p)) for p in functions["medrobust_papers"]()]
            except Exception as error:  # noqa: BLE001
                self._load_error(distribution, version, "hook 'medrobust_papers'", error, "Report it to its authors.")
        return bool(hooks or offered)

    def _offer(self, offer: Any, distribution: str, version: str, *, bundled: bool) -> None:
        preset = offer if isinstance(offer, Preset) else None
        plugin = preset.plugin if preset else offer
        where = f"plugin {preset.name if preset else getattr(plugin, '__name__', plugin)}"
        remedy = "See docs/plugins.md for what a plugin must look like."
        if complaint := validation_error(plugin) or (preset_error(preset) if preset else None):
            self._load_error(distribution, version, where, PluginError(complaint), remedy)
            return
        if missing := missing_libraries(plugin):
            cause = PluginError(f"needs {', '.join(missing)}, which is not installed")
            self._load_error(distribution, version, where, cause, f"pip install {' '.join(missing)}")
            return
        name = preset.name if preset else plugin.name
        if any(o.name == name and o.distribution == distribution for o in self._offers[plugin.kind]):
            self._load_error(distribution, version, where, PluginError(f"offers {plugin.kind} '{name}' twice"), remedy)
            return
        fields = tuple(preset.fields.items()) if preset else ()
        summary = (preset.summary if preset else "") or _first_line(plugin)
        self._offers[plugin.kind].append(
            RegisteredPlugin(name, plugin, fields, distribution, version, bundled, summary)
        )

    def replace(self, plugin: RegisteredPlugin) -> None:
        """Register a plugin, in place of one of the same name and origin."""
        others = [o for o in self._offers[plugin.kind] if o.qualified != plugin.qualified]
        self._offers[plugin.kind] = [*others, plugin]

    def _load_error(self, distribution: str, version: str, where: str, error: BaseException, remedy: str) -> None:
        show(error)
        fault = LoadError(distribution, version, where, cause_of(error), remedy)
        if self._strict:
            raise PluginError(str(fault)) from error
        self.faults.append(fault)

    def offers(self, kind: str | None = None) -> Iterator[RegisteredPlugin]:
        """All offers, of one kind or of all, bundled ones first."""
        for each in KINDS if kind is None else (kind,):
            yield from sorted(self._offers[each], key=lambda o: (not o.bundled, o.distribution, o.name))

    def papers(self) -> dict[str, Path]:
        """Paper folders by name."""
        return {folder.name: folder for _, folder in self._papers}

    def find(self, kind: str, name: str) -> RegisteredPlugin:
        """The offer of that name; `distribution:name` always works, a bundled bare name is never shadowed.

        Raises:
            PluginError: unknown name (with the nearest valid one) or a bare name that several strangers offer.
        """
        found = self._matching(kind, name)
        if len(found) == 1:
            if ":" not in name and (others := [o for o in self._offers[kind] if o.name == name and o is not found[0]]):
                self._clashes[kind, name] = (found[0], others)
            return found[0]
        if len(found) > 1:
            choices = " or ".join(f"'{o.qualified}'" for o in found)
            raise PluginError(f"{kind} '{name}' is offered by several distributions; write {choices}")
        broken = "".join(f" Not loaded: {fault}" for fault in self.faults)
        known = (o.name for o in self._offers[kind])
        raise PluginError(f"no {kind} is called '{name}'{did_you_mean(name, known)}.{broken}")

    def _matching(self, kind: str, name: str) -> list[RegisteredPlugin]:
        offers = self._offers[kind]
        if ":" in name:
            return [o for o in offers if o.qualified == name]
        return [o for o in offers if o.name == name and o.bundled] or [o for o in offers if o.name == name]

    def short_name(self, offer: RegisteredPlugin) -> str:
        """The shortest name by which a grid can call a plugin; qualified where its bare name means another one."""
        return offer.name if self._matching(offer.kind, offer.name) == [offer] else offer.qualified

    def clashes(self) -> list[str]:
        """A line for each bare name that was looked up and that other distributions offer too."""
        lines = []
        for (kind, name), (taken, others) in self._clashes.items():
            choices = " or ".join(f"'{o.qualified}'" for o in others)
            lines.append(f"{kind} '{name}' is that of {taken.distribution}; {choices} must be written in full")
        return lines

    def registered(self, plugin: Plugin) -> RegisteredPlugin:
        """The offer that an instance was made from; of several, the one that fixes most of its fields.

        Raises:
            PluginError: if nobody offers its class.
        """
        mine = [o for o in self._offers.get(plugin.kind, ()) if o.plugin is type(plugin)]
        fitting = [o for o in mine if all(getattr(plugin, k) == v for k, v in o.preset)]
        if not fitting:
            raise PluginError(f"{plugin.kind} '{plugin.title}' is offered by no plugin")
        return max(fitting, key=lambda o: len(o.preset))


def load_local_files(files: Iterable[Path]) -> None:
    """Load local plugin files that this process has not loaded yet, so that their classes can be unpickled."""
    for file in files:
        if local.module_name(file) not in sys.modules:
            Registry().load_file(file)


def _classes_of(module: ModuleType) -> list[type[Plugin]]:
    """Plugin classes that a module without hooks defines itself."""
    own = (value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__)
    return [c for c in own if issubclass(c, Plugin) and "name" in vars(c)]


def _first_line(plugin: type[Plugin]) -> str:
    documentation = plugin.__doc__ or ""
    generated = documentation.startswith(f"{plugin.__name__}(")
    return "" if generated else documentation.strip().partition("\n")[0]


def cause_of(error: BaseException) -> str:
    """One line: the error and the line of the plugin's own code it came from."""
    text = f"{type(error).__name__}: {error}" if not isinstance(error, PluginError) else str(error)
    line = "" if isinstance(error, PluginError) else own_line(error)
    return " ".join(text.split()) + (f" ({line})" if line else "")


def _owner(point: importlib.metadata.EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("unknown", "?")


@cache
def _own_version() -> str:
    try:
        return importlib.metadata.version("medrobust")
    except importlib.metadata.PackageNotFoundError:
        return "source tree"
