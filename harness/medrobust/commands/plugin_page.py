"""One plugin in full: what it is, its parameters, what it needs and where it comes from."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from ..contracts import AnyAttack, Dataset, ThreatModel
from ..plugins.hints import default_of
from ..plugins.registered import RegisteredPlugin
from ..plugins.specs import plain
from .docstrings import read
from .parameters import Parameter, parameters_of

KNOWLEDGE = {
    "white-box": "uses gradients of the model (white-box)",
    "score-based": "uses the model's outputs only (score-based)",
    "decision-based": "uses the model's decisions only (decision-based)",
    "none": "uses no knowledge of the model",
}
PUBLISHING = {
    True: "permitted by its own declaration, with these terms beside them",
    False: "not permitted: it does not declare `redistributable`",
}
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
    documentation = read(plugin.plugin)
    preset = dict(plugin.preset)
    parameters = list(parameters_of(plugin.plugin, tuple(preset)))
    yield Text.assemble((plugin.name, "bold"), f"  ({plugin.kind})")
    paragraphs = ((plugin.summary,) if preset else ()) + documentation.paragraphs
    for paragraph in dict.fromkeys(p for p in paragraphs if p):
        yield Text()
        yield Text(paragraph)
    if preset:
        yield from _section("Fixed by this name", ", ".join(f"{k} = {v}" for k, v in preset.items()))
    if parameters:
        yield from _heading("Parameters")
        for parameter in parameters:
            yield from _parameter(parameter, documentation.parameters.get(parameter.name, ""))
    if isinstance(threat := getattr(plugin.plugin, "threat", None), ThreatModel):
        yield from _section("Threat model", in_words(threat))
    origin = " (comes with medrobust)" if plugin.bundled else f"; its unambiguous name is {plugin.qualified}"
    yield from _section("From", f"{plugin.distribution} {plugin.version}{origin}")
    if plugin.references:
        yield from _heading("To cite")
        for reference in plugin.references:
            yield _indented(str(reference))
    if plugin.plugin.licence:
        yield from _section("Licence", plugin.plugin.licence)
    if issubclass(plugin.plugin, Dataset):
        yield from _section("Publishing images", PUBLISHING[plugin.plugin.redistributable])
    yield from _heading("In a grid")
    for line in example(plugin, parameters):
        yield _indented(line)


def _heading(title: str) -> Iterator[RenderableType]:
    yield Text()
    yield Text(title, style="bold")


def _section(title: str, text: str) -> Iterator[RenderableType]:
    yield from _heading(title)
    yield _indented(text)


def _indented(text: str, depth: int = 1) -> RenderableType:
    return Padding(Text(text), (0, 0, 0, INDENT * depth), expand=False)


def _parameter(parameter: Parameter, text: str) -> Iterator[RenderableType]:
    shown = "its own defaults" if parameter.default == "{}" else f"default {parameter.default}"
    default = "required" if parameter.default is None else shown
    swept = "; values of one sweep share a run" if parameter.cumulative else ""
    yield _indented(f"{parameter.name}: {parameter.type}, {default}{swept}")
    if text:
        yield _indented(text, 2)


def in_words(threat: ThreatModel) -> str:
    """A threat model as a sentence."""
    parts = [
        f"norms {', '.join(sorted(threat.norms))}",
        f"goals {', '.join(sorted(threat.goals, reverse=True))}",
        KNOWLEDGE.get(threat.knowledge, threat.knowledge),
        f"{' and '.join(sorted(threat.tasks))} labels",
    ]
    if threat.minimal:
        parts.append("can search for the smallest perturbation (budget l2:min)")
    if threat.queries is not None:
        parts.append(f"at most {threat.queries} forward passes per image")
    text = "; ".join(parts)
    return text[0].upper() + text[1:] + "."


def example(plugin: RegisteredPlugin, parameters: list[Parameter]) -> list[str]:
    """Lines of a grid that use the plugin, with its required and first few parameters."""
    required = [p for p in parameters if p.default is None]
    optional = [p for p in parameters if p.default not in (None, "none", "{}", '""', "[]")]
    fields = ", ".join(f"{p.name} = {p.example}" for p in [*required, *optional][: max(2, len(required))])
    name = plugin.name if plugin.bundled else plugin.qualified
    value = f'{{ name = "{name}", {fields} }}' if fields else f'"{name}"'
    lines = [f"{plugin.kind} = {value}"]
    if issubclass(plugin.plugin, AnyAttack) and plugin.name != "none":
        norms = plugin.plugin.threat.norms
        lines.append('budget = "linf:4/255"' if "linf" in norms else f'budget = "{min(norms)}:1"')
    return lines
