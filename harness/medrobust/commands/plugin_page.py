"""One plugin in full, for the terminal and for programs."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from ..contracts import Dataset
from ..plugins.description import describe_plugin, terms
from ..plugins.hints import default_of
from ..plugins.registered import RegisteredPlugin
from ..plugins.specs import plain

INDENT = 2


def facts(plugin: RegisteredPlugin) -> dict[str, Any]:
    """A plugin as JSON values, for programs."""
    preset = dict(plugin.preset)
    defaults = {
        f.name: default_of(f)
        for f in dataclasses.fields(plugin.plugin)  # type: ignore[arg-type]
        if f.name not in preset
    }
    return {
        "kind": plugin.kind,
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "parameters": {k: None if v is dataclasses.MISSING else plain(v) for k, v in defaults.items()},
        "documentation": inspect.cleandoc(plugin.plugin.__doc__ or ""),
        "references": [dataclasses.asdict(each) for each in plugin.references],
        "licence": plugin.plugin.licence,
        **({"redistributable": plugin.plugin.redistributable} if issubclass(plugin.plugin, Dataset) else {}),
    }


def page(plugin: RegisteredPlugin) -> Iterator[RenderableType]:
    """The page, part by part."""
    described = describe_plugin(plugin)
    yield Text.assemble((described.name, "bold"), f"  ({described.kind})")
    for paragraph in described.paragraphs:
        yield Text()
        yield Text(paragraph)
    if described.preset:
        yield from _section("Fixed by this name", ", ".join(described.preset))
    if described.parameters:
        yield from _heading("Parameters")
        for parameter, text in described.parameters:
            yield _indented(f"{parameter.name}: {terms(parameter)}")
            if text:
                yield _indented(text, 2)
    if described.threat:
        yield from _section("Threat model", described.threat)
    told = " (comes with medrobust)" if described.bundled else f"; its unambiguous name is {described.qualified}"
    yield from _section("From", f"{described.origin}{told}")
    if described.references:
        yield from _heading("To cite")
        for reference in described.references:
            yield _indented(reference)
    if described.licence:
        yield from _section("Licence", described.licence)
    if described.publishing:
        yield from _section("Publishing images", described.publishing)
    yield from _heading("In a grid")
    for line in described.example:
        yield _indented(line)


def _heading(title: str) -> Iterator[RenderableType]:
    yield Text()
    yield Text(title, style="bold")


def _section(title: str, text: str) -> Iterator[RenderableType]:
    yield from _heading(title)
    yield _indented(text)


def _indented(text: str, depth: int = 1) -> RenderableType:
    return Padding(Text(text), (0, 0, 0, INDENT * depth), expand=False)
