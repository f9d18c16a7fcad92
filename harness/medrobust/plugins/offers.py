"""What one module offers: its hooks are called, and what is wrong with one plugin stays with that plugin."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pluggy

from ..contracts import Plugin, Preset, Provider
from ..errors import PluginError, did_you_mean
from . import hookspecs
from .checks import preset_problem, problems_of
from .docstrings import first_line
from .hookspecs import GROUP
from .libraries import missing_libraries
from .providers import Library, provider_problem
from .registered import LoadError, Origin, RegisteredPlugin

PAPERS: Final = "medrobust_papers"
PROVIDERS: Final = "medrobust_providers"
HOOKS: Final = (
    *("medrobust_datasets", "medrobust_models", "medrobust_attacks", "medrobust_defenses", "medrobust_probes"),
    PAPERS,
    PROVIDERS,
)
_PREFIX: Final = "medrobust_"
REPORT: Final = "Report it to its authors."
SEE: Final = "docs/plugins.md says what a plugin looks like."


@dataclass
class Offers:
    """What a module offers.

    Attributes:
        plugins: its plugins, each under a name.
        papers: folders of papers.
        libraries: providers, which offer plugins of a library by name.
        errors: what cannot be used.
        silent: whether it has neither a hook nor a plugin class.
    """

    plugins: list[RegisteredPlugin] = field(default_factory=list)
    papers: list[Path] = field(default_factory=list)
    libraries: list[Library] = field(default_factory=list)
    errors: list[LoadError] = field(default_factory=list)
    silent: bool = False


def offers_of(module: ModuleType, origin: Origin) -> Offers:
    """Call the hooks of a module; of one without hooks, take the plugin classes that it defines itself."""
    found = Offers()
    try:
        _ask(module, origin, found)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - what a stranger's hook returns may raise when looked at
        found.errors.append(LoadError.of(origin, f"module {module.__name__}", error, REPORT))
    return found


def _ask(module: ModuleType, origin: Origin, found: Offers) -> None:
    """Collect what a module offers, and what is wrong with it."""
    try:
        hooks = _hooks(module)
    except Exception as error:  # noqa: BLE001 - misspelt or ill-formed hooks
        where = f"module {module.__name__}"
        found.errors.append(LoadError.of(origin, where, error, "Fix its hooks."))
        return
    found.errors += [LoadError.of(origin, *wrong) for wrong in _wrong_hooks(module, hooks)]
    for name in HOOKS:
        if name not in hooks:
            continue
        try:
            offered = _list_of(hooks[name](), name)
            if name == PAPERS:
                found.papers += [Path(each) for each in offered]
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's hook may raise anything
            found.errors.append(LoadError.of(origin, f"hook '{name}'", error, REPORT))
            continue
        if name == PROVIDERS:
            _take_providers(offered, origin, found)
        elif name != PAPERS:
            _take(offered, origin, found)
    if not hooks:
        classes, providers = _classes_of(module, Plugin, "name"), _classes_of(module, Provider, "prefix")
        _take(classes, origin, found)
        _take_providers(providers, origin, found)
        found.silent = not classes and not providers and not found.errors


def _hooks(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """The functions of a module that are marked with `hookimpl`, by name."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(module)
    return {
        caller.name: implementation.function
        for caller in manager.get_hookcallers(module) or ()
        for implementation in caller.get_hookimpls()
        if implementation.plugin is module
    }


def _wrong_hooks(module: ModuleType, hooks: Mapping[str, Callable[..., Any]]) -> Iterator[tuple[str, PluginError, str]]:
    """Hooks that nobody calls: misspelt ones, and functions with the name of a hook that lack the mark."""
    for name in hooks.keys() - set(HOOKS):
        yield f"hook '{name}'", PluginError("no such hook" + did_you_mean(name, HOOKS)), "Rename it."
    for name, value in vars(module).items():
        if name in hooks or not inspect.isfunction(value) or not name.startswith(_PREFIX):
            continue
        short = [known.removeprefix(_PREFIX) for known in HOOKS]
        if near := difflib.get_close_matches(name.removeprefix(_PREFIX), short, n=1, cutoff=0.75):
            renamed = "" if name in HOOKS else f"call it {_PREFIX}{near[0]} and "
            cause = PluginError("is not marked as a hook, so nothing calls it")
            remedy = f"If it is one, {renamed}write @hookimpl above it (from medrobust import hookimpl)."
            yield f"function '{name}'", cause, remedy


def _list_of(offered: Any, hook: str) -> list[Any]:
    """What a hook returned, as a list.

    Raises:
        PluginError: if it is neither a list nor another iterable.
    """
    if isinstance(offered, type) or not isinstance(offered, Iterable):
        what = {PAPERS: "paths", PROVIDERS: "classes of providers"}.get(hook, "plugin classes")
        raise PluginError(f"returned {offered!r}; it must return a list of {what}")
    return list(offered)


def _take(offered: Iterable[Any], origin: Origin, found: Offers) -> None:
    for each in offered:
        try:
            taken = _offer(each, origin)
        except Exception as error:  # noqa: BLE001 - a stranger's metaclass may raise anything
            taken = [LoadError.of(origin, f"plugin of {type(each).__name__}", error, REPORT)]
        if isinstance(taken, RegisteredPlugin):
            found.plugins.append(taken)
        else:
            found.errors += taken


def _take_providers(offered: Iterable[Any], origin: Origin, found: Offers) -> None:
    for each in offered:
        where = f"provider {getattr(each, '__name__', each)}"
        if wrong := provider_problem(each):
            found.errors.append(LoadError(origin, where, wrong, SEE))
            continue
        try:
            found.libraries.append(Library(each(), origin))
        except Exception as error:  # noqa: BLE001 - a stranger's constructor may raise anything
            found.errors.append(LoadError.of(origin, where, error, REPORT))


def _offer(offer: Any, origin: Origin) -> RegisteredPlugin | list[LoadError]:
    """One thing that a hook returned, under its name, or everything that is wrong with it."""
    preset = offer if isinstance(offer, Preset) else None
    plugin = preset.plugin if preset else offer
    where = f"plugin {preset.name if preset else getattr(plugin, '__name__', plugin)}"
    problems = problems_of(plugin)
    if preset and not problems:
        problems = preset_problem(preset)
    if problems:
        return [
            LoadError(origin, f"{where} ({problem.place})" if problem.place else where, problem.text, SEE)
            for problem in problems
        ]
    if missing := missing_libraries(plugin):
        cause = f"needs {', '.join(missing)}, which is not installed"
        return [LoadError(origin, where, cause, f"pip install {' '.join(missing)}")]
    return RegisteredPlugin(
        preset.name if preset else plugin.name,
        plugin,
        origin,
        tuple(preset.fields.items()) if preset else (),
        (preset.summary if preset else "") or first_line(plugin),
        (*(preset.references if preset else ()), *plugin.references),
    )


def _classes_of(module: ModuleType, contract: type, marked: str) -> list[type[Any]]:
    """Classes of a contract that a module without hooks defines itself, marked by the class variable they need."""
    own = (value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__)
    # Not `issubclass`, which for an abstract class looks at all other subclasses, each time a module brings more.
    return [c for c in own if contract in c.__mro__ and marked in vars(c)]
