"""A cache of recently used values, which all users share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

T = TypeVar("T")


class Kept(Generic[T]):
    """The most recently used values, by key.

    Args:
        limit: largest total size kept; a single larger value is kept alone.
        size: of a value; 1 each if not given, so that `limit` is their number.
    """

    def __init__(self, limit: int, size: Callable[[T], int] = lambda _: 1) -> None:
        self._values: LRUCache[Hashable, T] = LRUCache(limit, getsizeof=lambda value: min(size(value), limit))

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of `key`, made if it is not kept."""
        try:
            return self._values[key]
        except KeyError:
            self._values[key] = value = make()
            return value
