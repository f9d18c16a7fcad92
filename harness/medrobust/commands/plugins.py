"""`medrobust plugins`: what is installed, as a short list, and one plugin as a page."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..errors import MedrobustError, did_you_mean
from .options import JsonOption, PluginOption
from .printing import console
from .sessions import open_registry

if TYPE_CHECKING:
    from ..plugins.providers import Library
    from ..plugins.registered import RegisteredPlugin
    from ..plugins.registry import Registry

WIDTH = 100
"""Columns that the output needs at most."""
NAMES = 20
"""Longest name that shares a line with its summary."""


def plugins(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show one plugin in full.")] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Only this kind: dataset, model, attack, defense, detector, probe.")
    ] = None,
    provider: Annotated[
        str | None, typer.Option("--provider", help="List what a library offers, such as foolbox; imports it.")
    ] = None,
    plugin: PluginOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the plugins; with NAME, show one with its parameters, what to cite and an example for a grid."""
    registry = open_registry(plugin)
    found = wanted_plugins(registry, name, kind) if provider is None else _provided(registry, provider, name, kind)
    if as_json:
        from .plugin_page import facts

        typer.echo(json.dumps([facts(each) for each in found], indent=1))
        return
    if name is None:
        _print_list(found)
        if provider is None:
            _print_libraries([each for each in registry.libraries() if kind in (None, each.kind)])
        console.print(Text("'medrobust plugins NAME' shows parameters, what to cite and an example."), soft_wrap=True)
    else:
        from .plugin_page import page

        for number, each in enumerate(found):
            _print(*([Text()] if number else []), *page(each))
    for line in dict.fromkeys(map(registry.clash, found)):
        if line:
            console.print(Text(f"note: {line}", style="yellow"), soft_wrap=True)


def wanted_plugins(registry: Registry, name: str | None, kind: str | None) -> list[RegisteredPlugin]:
    """The plugins of that name and kind.

    Raises:
        MedrobustError: if there are none, with the nearest name.
    """
    from ..plugins.hookspecs import KINDS

    if kind is not None and kind not in KINDS:
        raise MedrobustError(f"no kind is called '{kind}'{did_you_mean(kind, KINDS)}")
    found = [o for o in registry.offers(kind) if name in (None, o.name, o.qualified)]
    if name is not None and ":" in name:
        libraries = registry.libraries(name.partition(":")[0])
        if mine := [each for each in libraries if kind in (None, each.kind)]:
            return _of_libraries(mine, name.partition(":")[2])
    if not found and name is not None:
        near = did_you_mean(name, (o.name for o in registry.offers(kind)))
        raise MedrobustError(f"no {kind or 'plugin'} is called '{name}'{near}. 'medrobust plugins' lists all")
    return found


def _provided(registry: Registry, provider: str, name: str | None, kind: str | None) -> list[RegisteredPlugin]:
    """What a library offers: all of it, or one name.

    Raises:
        MedrobustError: if there is no such provider or name, or the library is not installed.
    """
    libraries = registry.libraries(provider)
    if not libraries:
        near = did_you_mean(provider, (each.prefix for each in registry.libraries()))
        raise MedrobustError(f"there is no provider '{provider}'{near}")
    libraries = [each for each in libraries if kind in (None, each.kind)]
    if name is not None:
        return _of_libraries(libraries, name.removeprefix(f"{provider}:"))
    found = {each.name: each for library in libraries for each in _usable(library)}
    return list(found.values())


def _usable(library: Library) -> Iterator[RegisteredPlugin]:
    """The plugins of a library, each once; those that cannot be used are left out."""
    for name in library.names():
        with contextlib.suppress(MedrobustError):
            yield library.plugin(name)


def _of_libraries(libraries: Sequence[Library], name: str) -> list[RegisteredPlugin]:
    """The plugins of one name; there may be one of each kind."""
    found, errors = [], []
    for library in libraries:
        try:
            found.append(library.plugin(name))
        except MedrobustError as error:
            errors.append(error)
    if not found and errors:
        raise errors[0]
    return found


def _print_libraries(libraries: Sequence[Library]) -> None:
    """A line for each library whose members are plugins; none is imported for it."""
    if not libraries:
        return
    _print(Text("libraries, whose members are called PREFIX:NAME", style="bold"))
    table = Table.grid(padding=(0, 2))
    for each in libraries:
        state = each.version or f"not installed: {each.install}"
        table.add_row(Text(f"{each.prefix}:"), Text(f"{each.kind}s of {each.provider.library} ({state})"))
    _print(Padding(table, (0, 0, 0, 2), expand=False))
    _print(Text("'medrobust plugins --provider PREFIX' lists them."), Text())


def _print_list(found: Sequence[RegisteredPlugin]) -> None:
    for kind in dict.fromkeys(o.kind for o in found):
        _print(Text(f"{kind}s", style="bold"))
        families: dict[type, list[RegisteredPlugin]] = {}
        for each in found:
            if each.kind == kind:
                families.setdefault(each.plugin, []).append(each)
        _print(*_singles([f[0] for f in families.values() if len(f) == 1]))
        for family in families.values():
            if len(family) > 1:
                _print(*_family(family))
        _print(Text())


def _singles(found: Sequence[RegisteredPlugin]) -> Iterator[RenderableType]:
    """A line for each name; a summary that is longer continues below itself."""
    if not found:
        return
    names = [each.usual for each in found]
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=min(NAMES, max(map(len, names))), max_width=2 * NAMES, overflow="fold")
    table.add_column(ratio=1, overflow="fold")
    for shown, each in zip(names, found, strict=True):
        table.add_row(Text(shown), Text(each.summary))
    yield Padding(table, (0, 0, 0, 2), expand=False)


def _family(family: Sequence[RegisteredPlugin]) -> Iterator[RenderableType]:
    """One class under many names: what it is, then the names."""
    from ..plugins.docstrings import read

    paragraphs = read(family[0].plugin).paragraphs
    yield Padding(Text(paragraphs[0] if paragraphs else family[0].summary), (0, 0, 0, 2), expand=False)
    yield Padding(Text(", ".join(each.usual for each in family)), (0, 0, 0, 4), expand=False)


def _print(*parts: Any) -> None:
    for part in parts:
        console.print(part, width=min(console.width, WIDTH), highlight=False)
