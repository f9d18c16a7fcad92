"""What the end of a Parquet file declares of its columns, read here: asked for a column whose description contradicts
itself, pyarrow ends the process.

The end is a structure of Apache Thrift in its compact protocol, with the field numbers of parquet.thrift.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

MAGIC: Final = b"PAR1"
LARGEST: Final = 2**24
"""Bytes of the end; that of a file with fifty columns has ten thousand."""
DEEPEST: Final = 16
"""Structures and lists within one another; a file has seven."""
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
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
        about = _Compact(data[len(data) - 8 - length : -8]).struct(0)
        groups = [group[1] for group in about.get(4, [])]
        return [_chunk(each[3]) for columns in groups for each in columns]
    except (IndexError, KeyError, TypeError, AttributeError, UnicodeDecodeError, struct.error):
        raise ValueError("what its end declares is damaged") from None


def _chunk(about: dict[int, Any]) -> ColumnChunk:
    chunk = ColumnChunk(tuple(name.decode() for name in about[3]), about[1], about[5], about[6])
    if chunk.values < 0 or chunk.size < 0:
        raise ValueError(f"column {'.'.join(chunk.path)[:100]} declares less than nothing")
    return chunk


class _Compact:
    """A reader of the compact protocol: structures as dictionaries by field number."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def struct(self, depth: int) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while kind := self._byte():
            step, kind = divmod(kind, 16)
            number = number + step if step else self._signed()
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth + 1)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > DEEPEST:
            raise ValueError("what its end declares is nested too deeply")
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind == _DOUBLE:
            return struct.unpack("<d", self._bytes(8))[0]
        if kind == _BINARY:
            return self._bytes(self._number())
        if kind in (_LIST, _SET):
            return list(self._list(depth))
        if kind == _MAP:
            return dict(self._map(depth))
        if kind == _STRUCT:
            return self.struct(depth)
        if kind in (4, 5, 6):
            return self._signed()
        raise ValueError(f"what its end declares has a field of the unknown kind {kind}")

    def _list(self, depth: int) -> Iterator[Any]:
        size, kind = divmod(self._byte(), 16)
        for _ in range(self._number() if size == 15 else size):
            yield self._value(kind, depth + 1)

    def _map(self, depth: int) -> Iterator[tuple[Any, Any]]:
        if size := self._number():
            key, value = divmod(self._byte(), 16)
            for _ in range(size):
                yield self._value(key, depth + 1), self._value(value, depth + 1)

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _bytes(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise IndexError
        self.at += count
        return self.data[self.at - count : self.at]

    def _number(self) -> int:
        found = shift = 0
        while True:
            byte = self._byte()
            found |= (byte & 127) << shift
            if byte < 128:
                return found
            shift += 7
            if shift > 63:
                raise ValueError("what its end declares has a number without an end")

    def _signed(self) -> int:
        number = self._number()
        return (number >> 1) ^ -(number & 1)
