"""The definition of a cell as the text of a grid that asks for this cell alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_NOT_KEYS = ("checkpoints",)
"""What a definition records beside what a grid says."""


def grid_text(definition: Mapping[str, Any]) -> str:
    """A grid file with one `[[grid]]` table, every parameter written out, plugins by their qualified names.

    Args:
        definition: of a cell, as a record keeps it (see `definition.definition_of`).
    """
    keys = [key for key, value in definition.items() if value is not None and key not in _NOT_KEYS]
    width = max(map(len, keys), default=0)
    return "\n".join(["[[grid]]", *(f"{key:<{width}} = {_toml(definition[key], sweeps=True)}" for key in keys)]) + "\n"


def _toml(value: Any, *, sweeps: bool = False) -> str:
    """A JSON value as TOML on one line; a field without a value is left out, as TOML has no word for none.

    Args:
        value: what to write.
        sweeps: whether a list that is a parameter of this plugin would be swept over, so that it has to be in a list.
    """
    if isinstance(value, Mapping):
        sweeps = sweeps and "name" in value
        # The name first, as people write it.
        fields = sorted((item for item in value.items() if item[1] is not None), key=lambda item: item[0] != "name")
        texts = (_toml([v] if sweeps and isinstance(v, list) else v, sweeps=sweeps) for _, v in fields)
        return (
            f"{{ {', '.join(f'{_key(k)} = {t}' for (k, _), t in zip(fields, texts, strict=True))} }}"
            if fields
            else "{}"
        )
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    # JSON's numbers, booleans and strings are TOML's, except for the delete character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def _key(name: str) -> str:
    return name if _BARE.match(name) else json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007F")
