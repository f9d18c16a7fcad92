"""References as BibTeX entries."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from ..contracts import Reference


def entries(references: Iterable[Reference]) -> str:
    """One entry for each publication, with keys that differ: `goodfellow2015explaining`."""
    keys: dict[str, Reference] = {}
    for each in dict.fromkeys(references):
        key = base = _key(each)
        for letter in "bcdefghijklmnopqrstuvwxyz":
            if key not in keys:
                break
            key = base + letter
        keys[key] = each
    return "\n\n".join(_entry(key, each) for key, each in keys.items())


def _entry(key: str, reference: Reference) -> str:
    address = "url" if "://" in reference.doi else "doi"
    fields = {
        "author": " and ".join(reference.authors),
        "title": f"{{{reference.title}}}",
        "howpublished": reference.venue,
        "year": str(reference.year or ""),
        address: reference.doi,
    }
    lines = [f"  {name} = {{{_escaped(value)}}}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{key},", *lines, "}"])


def _key(reference: Reference) -> str:
    first = reference.authors[0].split()[-1] if reference.authors else "anonymous"
    words = re.findall(r"\w+", reference.title)
    word = next((w for w in words if len(w) > 3), words[0] if words else "")
    plain = unicodedata.normalize("NFKD", f"{first}{reference.year or ''}{word}")
    return re.sub(r"[^a-z0-9]", "", plain.lower())


def _escaped(text: str) -> str:
    return re.sub(r"([&%#_$])", r"\\\1", text)
