"""Discovery and lookup of plugins, with every fault kept to the plugin that has it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import os
import sys
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from ..contracts import Plugin, Preset, cumulative_field
from ..errors import PluginError, did_you_mean
from . import builtin, hookspecs
from .hookspecs import GROUP
from .tracebacks import own_line, show

KINDS = ("dataset", "model", "attack", "defense", "detector", "probe")
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
        name = local_module(file)
        specification = importlib.util.spec_from_file_location(name, file)
        if specification is None or specification.loader is None:
            raise PluginError(f"--plugin {file}: not a Python file")
        module = importlib.util.module_from_spec(specification)
        if name in self._files:
            raise PluginError(f"--plugin {file}: another file of this name is loaded already; rename one of them")
        self._files.add(name)
        sys.modules[name] = module
        try:
            specification.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            raise PluginError(f"--plugin {file}: {cause_of(error)}") from error
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
        if complaint := _validation_error(plugin) or (_preset_error(preset) if preset else None):
            self._load_error(distribution, version, where, PluginError(complaint), remedy)
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
        offers = self._offers[kind]
        if ":" in name:
            found = [o for o in offers if o.qualified == name]
        else:
            found = [o for o in offers if o.name == name and o.bundled] or [o for o in offers if o.name == name]
        if len(found) == 1:
            return found[0]
        if len(found) > 1:
            choices = " or ".join(f"'{o.qualified}'" for o in found)
            raise PluginError(f"{kind} '{name}' is offered by several distributions; write {choices}")
        broken = "".join(f" Not loaded: {fault}" for fault in self.faults)
        raise PluginError(f"no {kind} is called '{name}'{did_you_mean(name, (o.name for o in offers))}.{broken}")

    def registered(self, plugin: Plugin) -> RegisteredPlugin:
        """The offer that an instance was made from.

        Raises:
            PluginError: if nobody offers its class.
        """
        for offer in self._offers.get(plugin.kind, ()):
            if offer.plugin is type(plugin) and all(getattr(plugin, k) == v for k, v in offer.preset):
                return offer
        raise PluginError(f"{plugin.kind} '{plugin.title}' is offered by no plugin")


def load_local_files(files: Iterable[Path]) -> None:
    """Load local plugin files that this process has not loaded yet, so that their classes can be unpickled."""
    for file in files:
        if local_module(file) not in sys.modules:
            Registry().load_file(file)


def local_module(file: Path) -> str:
    """The name of the module of a local plugin file: the file's own, so that another process finds its classes."""
    return f"medrobust_local_{file.stem.replace('-', '_')}"


def _classes_of(module: ModuleType) -> list[type[Plugin]]:
    """Plugin classes that a module without hooks defines itself."""
    own = (value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__)
    return [c for c in own if issubclass(c, Plugin) and "name" in vars(c)]


def _validation_error(plugin: Any) -> str | None:
    """What is wrong with a plugin class, in one sentence, or None."""
    if not (isinstance(plugin, type) and issubclass(plugin, Plugin)):
        return f"{plugin!r} is no plugin class; derive it from medrobust.Attack, Dataset, Model or Defense"
    if getattr(plugin, "kind", None) not in KINDS:
        return "derives from no contract; derive it from medrobust.Attack, Dataset, Model or Defense"
    if not isinstance(getattr(plugin, "name", None), str) or not plugin.name:
        return "has no class variable `name`"
    if ":" in plugin.name or plugin.name.startswith("@"):
        return f"its name {plugin.name!r} may hold no ':' and not begin with '@'"
    if not dataclasses.is_dataclass(plugin) or not plugin.__dataclass_params__.frozen:
        return "is no frozen dataclass; decorate it with @dataclass(frozen=True)"
    if missing := sorted(getattr(plugin, "__abstractmethods__", ())):
        return f"does not implement {', '.join(missing)}"
    if plugin.kind == "attack" and not hasattr(plugin, "threat"):
        return "declares no `threat: ClassVar[ThreatModel]`"
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
            f"has the cumulative field '{field}' and gives no iterates; derive it from medrobust.IterativeAttack or "
            "IterativeUniversalAttack, or declare an ordinary field"
        )
    return None


def _preset_error(preset: Preset) -> str | None:
    """What is wrong with the fields that a preset fixes, or None."""
    valid = [f.name for f in dataclasses.fields(preset.plugin) if f.init]  # type: ignore[arg-type]
    unknown = next((name for name in preset.fields if name not in valid), None)
    if unknown is not None:
        return f"{preset.plugin.__name__} has no field '{unknown}'{did_you_mean(unknown, valid)}"
    return None


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
