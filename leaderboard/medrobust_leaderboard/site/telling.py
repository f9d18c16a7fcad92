"""What is shown of results is told by a publication: no local path or file name is in any text of a site."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, TypeVar

from medrobust.api import Publication

T = TypeVar("T")


class Telling:
    """Texts as a publication tells them; each distinct text is looked at once.

    Args:
        publication: what may be told.
    """

    def __init__(self, publication: Publication) -> None:
        self.publication = publication
        self.text: Callable[[str], str] = lru_cache(maxsize=None)(publication.text)
        self.label: Callable[[str], str] = lru_cache(maxsize=None)(publication.label)
        self.reason: Callable[[str], str] = lru_cache(maxsize=None)(publication.reason)

    def all(self, value: T) -> T:
        """A value whose every text is told: of data classes, tuples, lists and mappings, keys included."""
        told: Any = _told(value, self.text)
        return told  # type: ignore[no-any-return]

    def written(self, text: str) -> Any:
        """JSON of a record, such as its definition, with every label in it told."""
        return _told(json.loads(text), self.label)


def _told(value: Any, tell: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return tell(value)
    if isinstance(value, Mapping):
        return {_told(key, tell): _told(each, tell) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_told(each, tell) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: _told(getattr(value, f.name), tell) for f in fields(value)}
        # Not `replace`: what was built once is not checked again, and fields that are not arguments are kept.
        copy = object.__new__(type(value))
        for name, each in changed.items():
            object.__setattr__(copy, name, each)
        return copy
    return value
