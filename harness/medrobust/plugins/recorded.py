"""The plugins that a record names, as far as they are installed here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import PluginError
from .registered import RegisteredPlugin
from .registry import Registry
from .specs import class_name, plain


def recorded_plugins(fields: Any, registry: Registry) -> Iterator[RegisteredPlugin | str]:
    """Every plugin in the fields of an identity, nested ones too; of one that is not here, its name.

    Args:
        fields: of an identity, as a record keeps them.
        registry: where plugins are looked up.
    """
    for recorded, found in recorded_with(fields, registry):
        yield found or str(recorded.get("plugin") or recorded["class"])


def recorded_with(fields: Any, registry: Registry) -> Iterator[tuple[Mapping[str, Any], RegisteredPlugin | None]]:
    """The fields of every plugin, nested ones too, with the plugin; None for one that is not here."""
    if isinstance(fields, list):
        for each in fields:
            yield from recorded_with(each, registry)
    if not isinstance(fields, Mapping):
        return
    if "class" in fields:
        yield fields, _registered(fields, registry)
    for value in fields.values():
        yield from recorded_with(value, registry)


def _registered(fields: Mapping[str, Any], registry: Registry) -> RegisteredPlugin | None:
    """The plugin that was recorded: by its qualified name, or inside another one by its class and what it fixes."""
    mine = [o for o in (*registry.offers(), *_provided(fields, registry)) if class_name(o.plugin) == fields["class"]]
    if "plugin" in fields:
        return next((o for o in mine if o.qualified == fields["plugin"]), None)
    fitting = [o for o in mine if all(fields.get(name) == plain(value) for name, value in o.preset)]
    return max(fitting, key=lambda o: len(o.preset), default=None)


def _provided(fields: Mapping[str, Any], registry: Registry) -> Iterator[RegisteredPlugin]:
    """Plugins of libraries that a record may mean; libraries that it does not name are not imported."""
    prefix, _, name = str(fields.get("plugin", "")).partition(":")
    for library in registry.libraries():
        if "plugin" in fields:
            wanted = name if prefix == library.prefix else ""
        else:
            named = library.provider.library in (fields.get("libraries") or ())
            wanted = str(fields["class"]).rpartition(".")[2] if named else ""
        if wanted:
            with contextlib.suppress(PluginError):
                yield library.plugin(wanted)
