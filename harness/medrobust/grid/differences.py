"""How two identities differ, in words: why a result is superseded, or why equal labels have two results."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from .identity import difference, flatten

SUBJECTS = {
    "target.model": "model",
    "target.defense": "defense",
    "target.pretrained.model": "model of the pre-training",
    "source.model": "model of the surrogate",
    "source.defense": "defense of the surrogate",
    "target.train.data": "training data",
    "evaluate_on.data": "test data",
    "craft_on.data": "data of the perturbation",
    "attack": "attack",
}
"""What a field of an identity belongs to."""
KINDS = {
    "source": "other source of",
    "checkpoint": "other weights of",
    "fingerprint": "other files of",
    "libraries": "other library versions under",
}
"""Fields that no grid states."""
HASH = re.compile(r"[0-9a-f]{16,}")


def reason(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Why `new` has taken the place of `old`: "other source of attack 'pgd'", "attack.steps 5 instead of 10"."""
    found = difference(old, new)
    told = dict.fromkeys(_told(name, before, after, old) for name, before, after in found)
    # A file or a source that changed explains the rest, such as other weights trained on it.
    named = [text for text in told if text.startswith("other ")]
    return ", ".join(named or told) or "nothing that is recorded"


def _told(name: str, before: Any, after: Any, fields: Mapping[str, Any]) -> str:
    for kind, words in KINDS.items():
        owner, dot, rest = name.rpartition(f".{kind}")
        if dot and (not rest or rest.startswith(".")):
            return f"{words} {_subject(owner, fields)}"
    if name.rpartition(".")[2] == "revision":
        return "other revision of medrobust's own steps"
    return f"{name} {short(before)} instead of {short(after)}"


def _subject(owner: str, fields: Mapping[str, Any]) -> str:
    found: Any = fields
    for key in owner.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    plugin = found.get("plugin") or found.get("class") if isinstance(found, Mapping) else None
    name = f" '{str(plugin).rpartition(':')[2]}'" if plugin else ""
    return f"{SUBJECTS.get(owner, owner)}{name}"


def distinguish(
    families: Iterable[Collection[str]], identity: Callable[[str], Mapping[str, Any] | None]
) -> dict[str, str]:
    """Words for cells that have equal labels, such as "threads=2": the fields in which their identities differ.

    Args:
        families: cells that share their labels; a family of one takes part, as its words must match those of others.
        identity: the identity of a cell as fields, or None where it is unknown.

    Returns:
        Words by cell, different within each family; empty if no family has two.
    """
    families = [list(dict.fromkeys(family)) for family in families]
    crowded = [family for family in families if len(family) > 1]
    if not crowded:
        return {}
    flat = {cell: dict(flatten(fields)) for f in families for cell in f if (fields := identity(cell)) is not None}
    known = _with_groups_as_fields(flat)
    names = dict.fromkeys(name for family in crowded for name in _differing([known[c] for c in family if c in known]))
    words = {cell: _words(known.get(cell), list(names)) for family in families for cell in family}
    for family in crowded:
        counts = Counter(words[cell] for cell in family)
        words |= {cell: f"{words[cell]} cell {cell[:6]}".strip() for cell in family if counts[words[cell]] > 1}
    return words


def _with_groups_as_fields(flat: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Flat identities in which a group of fields that only some have at all, such as a pre-training, is one field."""
    counts = Counter(group for fields in flat.values() for group in {g for name in fields for g in _owners(name)})
    partial = {group for group, count in counts.items() if count < len(flat)}
    topmost = {group for group in partial if not partial.intersection(_owners(group))}

    def field_of(name: str) -> str:
        return next((owner for owner in _owners(name) if owner in topmost), name)

    return {
        cell: {(known := field_of(name)): "yes" if known != name else value for name, value in fields.items()}
        for cell, fields in flat.items()
    }


def _owners(name: str) -> list[str]:
    """`a.b.c` lies in the groups `a` and `a.b`."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _differing(identities: Sequence[Mapping[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for fields in identities for name in fields)
    differing = [n for n in names if any(fields.get(n) != identities[0].get(n) for fields in identities)]
    # Of two plugins it is enough to say which they are: their fields differ because they do.
    plugins = tuple(n.removesuffix("plugin") for n in differing if n.endswith(".plugin"))
    return [n for n in differing if n.endswith(".plugin") or not (plugins and n.startswith(plugins))]


def _words(fields: Mapping[str, Any] | None, names: Sequence[str]) -> str:
    if fields is None:
        return "not computed"
    told = {(name.rpartition(".")[2], short(fields.get(name))): None for name in names}
    return ", ".join(value if name == "plugin" else f"{name}={value}" for name, value in told)


def short(value: Any) -> str:
    """A value in a label: the beginning of a hash, text without quotes."""
    if value is None:
        return "none"
    text = value if isinstance(value, str) else str(value)
    return text[:6] if HASH.fullmatch(text) else text
