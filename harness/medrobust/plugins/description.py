"""One plugin in full, as text: what it is, its parameters, what it needs and where it comes from."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from ..contracts import AnyAttack, Dataset, ThreatModel
from .docstrings import read
from .parameters import Parameter, parameters_of
from .registered import RegisteredPlugin

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


@dataclass(frozen=True)
class PluginDescription:
    """What there is to say about a plugin.

    Attributes:
        kind: of the plugin.
        name: what grids call it.
        qualified: its name behind that of its distribution, which always works.
        paragraphs: its documentation.
        preset: fields that its name fixes, each as `field = value`.
        parameters: what a grid may set, each with its documentation.
        threat: its threat model in words; empty without one.
        origin: distribution and version.
        bundled: whether it comes with medrobust.
        references: what to cite.
        licence: terms of its images or weights; empty where it states none.
        publishing: of a data set, whether its images may be published.
        example: lines of a grid that use it.
    """

    kind: str
    name: str
    qualified: str
    paragraphs: tuple[str, ...]
    preset: tuple[str, ...]
    parameters: tuple[tuple[Parameter, str], ...]
    threat: str
    origin: str
    bundled: bool
    references: tuple[str, ...]
    licence: str
    publishing: str
    example: tuple[str, ...]


def describe_plugin(plugin: RegisteredPlugin) -> PluginDescription:
    """The description of a plugin, from its class and its registration."""
    documentation = read(plugin.plugin)
    preset = dict(plugin.preset)
    parameters = list(parameters_of(plugin.plugin, tuple(preset)))
    paragraphs = ((plugin.summary,) if preset else ()) + documentation.paragraphs
    threat = getattr(plugin.plugin, "threat", None)
    return PluginDescription(
        kind=plugin.kind,
        name=plugin.name,
        qualified=plugin.qualified,
        paragraphs=tuple(dict.fromkeys(p for p in paragraphs if p)),
        preset=tuple(f"{k} = {v}" for k, v in preset.items()),
        parameters=tuple((p, documentation.parameters.get(p.name, "")) for p in parameters),
        threat=in_words(threat) if isinstance(threat, ThreatModel) else "",
        origin=str(plugin.origin),
        bundled=plugin.bundled,
        references=tuple(str(each) for each in plugin.references),
        licence=plugin.plugin.licence,
        publishing=PUBLISHING[plugin.plugin.redistributable] if issubclass(plugin.plugin, Dataset) else "",
        example=tuple(example(plugin, parameters)),
    )


def in_words(threat: ThreatModel) -> str:
    """A threat model as a sentence."""
    parts = [
        f"norms {', '.join(sorted(threat.norms))}",
        f"goals {', '.join(sorted(threat.goals, reverse=True))}",
        KNOWLEDGE.get(threat.knowledge, threat.knowledge),
        f"{' and '.join(sorted(threat.tasks))} labels",
    ]
    if threat.minimal:
        parts.append("can search for the smallest perturbation (budget NORM:min)")
    if threat.queries is not None:
        parts.append(f"at most {threat.queries} forward passes per image")
    text = "; ".join(parts)
    return text[0].upper() + text[1:] + "."


def example(plugin: RegisteredPlugin, parameters: list[Parameter]) -> list[str]:
    """Lines of a grid that use the plugin, with its required and first few parameters."""
    required = [p for p in parameters if p.default is None]
    optional = [p for p in parameters if p.default not in (None, "none", "{}", '""', "[]")]
    fields = ", ".join(f"{p.name} = {p.example}" for p in [*required, *optional][: max(2, len(required))])
    value = f'{{ name = "{plugin.usual}", {fields} }}' if fields else f'"{plugin.usual}"'
    lines = [f"{plugin.kind} = {value}"]
    if issubclass(plugin.plugin, AnyAttack) and plugin.name != "none":
        norms = plugin.plugin.threat.norms
        lines.append(f'budget = "{_budget(norms)}"')
    return lines


def _budget(norms: Set[str]) -> str:
    """A budget of the first of the usual norms that an attack supports."""
    usual = {"linf": "linf:4/255", "l2": "l2:1", "l1": "l1:10", "l0": "l0:20"}
    return next((text for norm, text in usual.items() if norm in norms), "unbounded")


def terms(parameter: Parameter) -> str:
    """Type, default and sweep of a parameter in words."""
    shown = "its own defaults" if parameter.default == "{}" else f"default {parameter.default}"
    default = "required" if parameter.default is None else shown
    swept = "; values of one sweep share a run" if parameter.cumulative else ""
    return f"{parameter.type}, {default}{swept}"
