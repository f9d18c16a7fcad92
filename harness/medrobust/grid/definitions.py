"""The names of `[define]`: what an item of a grid such as `"@skin"` stands for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..errors import GridError, did_you_mean, shown

MOST: Final = 20_000
"""Values that the items of a grid stand for in all; lists of lists of names are soon more than any run computes."""


class Definitions:
    """Resolves the names that a grid defines.

    Args:
        define: values by name.
    """

    def __init__(self, define: Mapping[str, Any]) -> None:
        self._define = define
        self._resolved = 0

    def resolve(
        self, item: Any, where: str, seen: tuple[str, ...] = (), *, keep: tuple[str, ...] = ()
    ) -> Iterator[tuple[Any, str]]:
        """What an item stands for, with the name it was called by: itself, or the definition that it names.

        A definition that is a list is spliced in; of a chain of names the outermost one counts. Names under the keys
        `keep` of a table stay as they are: whoever reads them wants to know by which name a value is called.

        Raises:
            GridError: for a name that is not defined, or that refers to itself.
        """
        self._resolved += 1
        if self._resolved > MOST:
            raise GridError(f"{where}: with the definitions, the grid has more than {MOST} values; shorten its lists")
        if not (isinstance(item, str) and item.startswith("@")):
            kept = {key: item[key] for key in keep if key in item} if isinstance(item, Mapping) else {}
            rest = {k: v for k, v in item.items() if k not in kept} if kept else item
            inside = self._inside(rest, where, seen)
            yield {key: (kept if key in kept else inside)[key] for key in item} if kept else inside, ""
            return
        name = item[1:]
        if name in seen:
            raise GridError(f"{where}: definition '@{name}' refers to itself")
        if name not in self._define:
            raise GridError(f"{where}: {shown(item)} is not defined{did_you_mean(name, self._define)}")
        definition = self._define[name]
        if isinstance(definition, list):
            for each in definition:
                yield from self.resolve(each, where, (*seen, name), keep=keep)
            return
        for value, _ in self.resolve(definition, where, (*seen, name), keep=keep):
            yield value, name

    def _inside(self, item: Any, where: str, seen: tuple[str, ...]) -> Any:
        """The item with the names inside a table resolved; one that stands for a list becomes a sweep."""
        if isinstance(item, Mapping):
            return {k: self._inside(v, where, seen) for k, v in item.items()}
        if isinstance(item, list):
            return [self._inside(v, where, seen) for v in item]
        if isinstance(item, str) and item.startswith("@"):
            values = [value for value, _ in self.resolve(item, where, seen)]
            return values[0] if len(values) == 1 else values
        return item
