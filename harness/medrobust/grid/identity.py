"""Identity: a hash over what determines a result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from ..plugins.specs import Canonical

Fields = dict[str, Any]
"""What an identity depends on, as JSON-like content."""

VERDICT_DRAWS = 8
"""Verdicts on each image of a random model; they belong to the identity of its cells."""

REVISIONS = {"slice": 1, "fit": 1, "defense": 2, "universal": 1, "craft": 1, "probe": 1, "detect": 1}
"""Revisions of the core's own steps; `universal` is how images are given to universal attacks. Raise one when its
behaviour changes: every result that depends on it gets a new identity. The golden-record test fails when behaviour
changes and the revision does not."""


def digest(*parts: Any) -> str:
    """20 hexadecimal digits over JSON-like parts; mappings count by content, not by order."""
    return hashlib.sha256(Canonical.list_of(parts).encode()).hexdigest()[:20]


def flatten(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`{"model": {"recipe": {"epochs": 3}}}` as ("model.recipe.epochs", 3), so that a field can be named."""
    for key, value in fields.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The fields in which two identities differ: (name, old value, new value); a missing value is None."""
    before, after = dict(flatten(old)), dict(flatten(new))
    names = list(dict.fromkeys([*before, *after]))
    return [(n, before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)]
