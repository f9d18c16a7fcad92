"""Keeping the last few things made, so that those who need the same one share it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """The most recently used values, by key.

    Args:
        limit: largest total weight kept; a single heavier value is kept alone.
        weigh: weight of a value; 1 each if not given, so that `limit` is their number.
    """

    def __init__(self, limit: int, weigh: Callable[[T], int] = lambda _: 1) -> None:
        self._limit = limit
        self._weigh = weigh
        self._kept: OrderedDict[object, T] = OrderedDict()
        self._weight = 0

    def get(self, key: object, make: Callable[[], T]) -> T:
        """The value of `key`, made if it is not kept."""
        if key not in self._kept:
            self._kept[key] = value = make()
            self._weight += self._weigh(value)
            while self._weight > self._limit and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._weight -= self._weigh(dropped)
        self._kept.move_to_end(key)
        return self._kept[key]
