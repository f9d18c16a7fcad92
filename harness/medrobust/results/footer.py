"""What the end of a Parquet file declares of its columns, read here: asked for a column whose description contradicts
itself, pyarrow ends the process.

The end is a structure of Apache Thrift in its compact protocol, with the field numbers of parquet.thrift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

MAGIC: Final = b"PAR1"
LARGEST: Final = 2**24
"""Bytes of the end; that of a file with fifty columns has ten thousand."""
DEEPEST: Final = 16
"""Structures and lists within one another; a file has seven."""
_TRUE, _FALSE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 8, 9, 10, 11, 12
_INTEGERS: Final = (4, 5, 6)
_FIXED: Final = {_TRUE: 1, _FALSE: 1, 3: 1, 7: 8}
"""Bytes of the kinds that have as many each: truth values in lists, small integers and fractions."""
_TOO_DEEP: Final = "what its end declares is nested too deeply"
_Wanted = dict[int, Any]
_WANTED: Final[_Wanted] = {4: {1: {3: {1: {}, 3: {}, 5: {}, 6: {}}}}}
"""By field: the groups of rows, their columns, what describes a column, and of that its type, path, values and size."""
BYTE_ARRAY: Final = 6
"""The physical type of texts."""


@dataclass(frozen=True)
class ColumnChunk:
    """A column in a group of rows.

    Attributes:
        path: names from the column to what is in its lists.
        physical_type: number of parquet.thrift.
        values: how many there are.
        size: bytes before compression.
    """

    path: tuple[str, ...]
    physical_type: int
    values: int
    size: int


def columns_in(data: bytes) -> list[ColumnChunk]:
    """The columns of every group of rows of a file.

    Raises:
        ValueError: if its end is not that of a Parquet file, or declares less than nothing.
    """
    length = int.from_bytes(data[-8:-4], "little")
    if data[-4:] != MAGIC or length > min(len(data) - 8, LARGEST):
        raise ValueError("it does not end as a Parquet file does")
    try:
        about = _Compact(data[len(data) - 8 - length : -8]).struct(_WANTED, 0)
        groups = [group[1] for group in about.get(4, [])]
        return [_chunk(each[3]) for columns in groups for each in columns]
    except (IndexError, KeyError, TypeError, AttributeError, UnicodeDecodeError):
        raise ValueError("what its end declares is damaged") from None


def _chunk(about: dict[int, Any]) -> ColumnChunk:
    chunk = ColumnChunk(tuple(name.decode() for name in about[3]), about[1], about[5], about[6])
    if chunk.values < 0 or chunk.size < 0:
        raise ValueError(f"column {'.'.join(chunk.path)[:100]} declares less than nothing")
    return chunk


class _Compact:
    """A reader of the compact protocol. Of nine in ten values it needs the length alone, and a store has many files."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def struct(self, wanted: _Wanted, depth: int) -> dict[int, Any]:
        """The fields of a structure by number, of those that are wanted."""
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            step, kind = divmod(head, 16)
            number = number + step if step else self._signed()
            if number in wanted:
                fields[number] = self._value(kind, wanted[number], depth + 1)
            elif kind not in (_TRUE, _FALSE):
                self._skip(kind, depth + 1)
        return fields

    def _value(self, kind: int, wanted: _Wanted, depth: int) -> Any:
        if depth > DEEPEST:
            raise ValueError(_TOO_DEEP)
        if kind == _LIST:
            size, kind = self._size()
            return [self._value(kind, wanted, depth + 1) for _ in range(size)]
        if kind == _STRUCT:
            return self.struct(wanted, depth)
        if kind == _BINARY:
            return self._bytes(self._number())
        if kind in _INTEGERS:
            return self._signed()
        raise ValueError(f"what its end declares has a field of the unexpected kind {kind}")

    def _skip(self, kind: int, depth: int) -> None:
        if depth > DEEPEST:
            raise ValueError(_TOO_DEEP)
        if kind in _INTEGERS:
            self._number()
        elif kind == _BINARY:
            self._bytes(self._number())
        elif kind == _STRUCT:
            while head := self._byte():
                step, kind = divmod(head, 16)
                if not step:
                    self._number()
                if kind not in (_TRUE, _FALSE):
                    self._skip(kind, depth + 1)
        elif kind in (_LIST, _SET):
            size, kind = self._size()
            for _ in range(size):
                self._skip(kind, depth + 1)
        elif kind == _MAP:
            if size := self._number():
                key, value = divmod(self._byte(), 16)
                for _ in range(size):
                    self._skip(key, depth + 1)
                    self._skip(value, depth + 1)
        elif kind in _FIXED:
            self._bytes(_FIXED[kind])
        else:
            raise ValueError(f"what its end declares has a field of the unknown kind {kind}")

    def _size(self) -> tuple[int, int]:
        """How many items a list has, and of which kind they are."""
        size, kind = divmod(self._byte(), 16)
        return self._number() if size == 15 else size, kind

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _bytes(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise IndexError
        self.at += count
        return self.data[self.at - count : self.at]

    def _number(self) -> int:
        data, at = self.data, self.at
        found = data[at]
        at += 1
        if found > 127:
            found &= 127
            shift = 7
            while (byte := data[at]) > 127:
                found |= (byte & 127) << shift
                at += 1
                shift += 7
                if shift > 63:
                    raise ValueError("what its end declares has a number without an end")
            found |= byte << shift
            at += 1
        self.at = at
        return found

    def _signed(self) -> int:
        number = self._number()
        return (number >> 1) ^ -(number & 1)
