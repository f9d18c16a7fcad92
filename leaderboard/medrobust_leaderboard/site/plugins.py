"""The page of each plugin that records name, from its own documentation."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medrobust.api import PluginDescription, describe_plugin, recorded_plugins

from .contents import Contents, slug
from .page import Page


def plugin_id(kind: str, qualified: str) -> str:
    """For the name of a plugin's page: readable, and unique by a hash."""
    name = slug(qualified.rpartition(":")[2])
    return f"{kind}-{name}-{hashlib.sha256(qualified.encode()).hexdigest()[:6]}"


@dataclass
class UsedPlugin:
    """A plugin that records name.

    Attributes:
        id: of its page.
        kind, name, qualified: what it is.
        description: its own documentation; None where it is not installed here.
        cells: how many cells rest on it.
        codes: revisions of its code, or hashes of it, that records name.
        versions: of its distribution, that records name.
    """

    id: str
    kind: str
    name: str
    qualified: str
    description: PluginDescription | None = None
    cells: int = 0
    codes: set[str] = field(default_factory=set)
    versions: set[str] = field(default_factory=set)


def plugin_pages(used: Sequence[UsedPlugin]) -> Iterator[Page]:
    """The list of plugins, and a page for each."""
    kinds = {each.kind: [other for other in used if other.kind == each.kind] for each in used}
    yield Page("plugins.html", "plugins.html", "Plugins", {"kinds": kinds})
    for each in used:
        yield Page(f"plugins/{each.id}.html", "plugin.html", f"{each.name} ({each.kind})", {"plugin": each})


def used_plugins(contents: Contents) -> list[UsedPlugin]:
    """Every plugin that a record names, nested ones too, by kind."""
    counts: Counter[tuple[str, str]] = Counter()
    for cell in contents.cells.values():
        if cell.row.get("identity"):
            versions = cell.row.get("versions") or "{}"
            counts.update({(key, versions) for key in _tables(json.loads(cell.row["identity"]))})
    found: dict[str, UsedPlugin] = {}
    for (key, versions), count in counts.items():
        fields = json.loads(key)
        used = _used(fields, contents)
        known = found.setdefault(used.id, used)
        known.cells += count
        known.codes.add(str(fields.get("source", "")))
        libraries = ", ".join(f"{name} {version}" for name, version in (fields.get("libraries") or {}).items())
        known.versions.add(str(json.loads(versions).get(known.qualified.partition(":")[0], libraries)))
    kinds = ("dataset", "model", "defense", "attack")
    order = {kind: place for place, kind in enumerate(kinds)}
    return sorted(found.values(), key=lambda p: (order.get(p.kind, len(order)), p.name, p.qualified))


def _used(fields: Mapping[str, Any], contents: Contents) -> UsedPlugin:
    plugin = next(iter(recorded_plugins(fields, contents.registry)))
    if isinstance(plugin, str):
        name = contents.telling.text(plugin)
        return UsedPlugin(plugin_id("absent", name), "not installed here", name.rpartition(":")[2], name)
    return UsedPlugin(
        plugin_id(plugin.kind, plugin.qualified),
        plugin.kind,
        plugin.name,
        plugin.qualified,
        contents.telling.all(describe_plugin(plugin)),
    )


def _tables(fields: Any) -> Iterator[str]:
    """What tells the plugins in an identity apart, as JSON: the name of each, else its class and plain fields."""
    if isinstance(fields, list):
        for each in fields:
            yield from _tables(each)
    if not isinstance(fields, dict):
        return
    if "class" in fields:
        if "plugin" in fields:
            told = {key: fields.get(key) for key in ("class", "libraries", "plugin", "source")}
        else:
            told = {key: value for key, value in fields.items() if not isinstance(value, dict | list)}
        yield json.dumps(told, sort_keys=True)
    for value in fields.values():
        if isinstance(value, dict | list):
            yield from _tables(value)
