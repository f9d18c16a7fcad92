"""The files of a store: named after their content, verified when they are read, set aside where they are damaged.

The name of a file carries the hash of its content. Hash and file are therefore written in one step, a file of one name
never changes, and joining or pruning files needs no separate list of hashes. A file whose name has no hash (somebody
put it there) is read without this check.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from ..errors import LostError, StoreError
from .objects import Found, Objects

DAMAGED = "damaged"
"""The folder of a store into which damaged files go."""
_HASH = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Damaged:
    """A file that was found damaged.

    Attributes:
        name: as the store called it.
        why: what is wrong with it.
        kept: its name now, within the store; empty if it could not be moved.
    """

    name: str
    why: str
    kept: str


def content_hash(data: bytes) -> str:
    """The first 128 bits of SHA-256, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()[:32]


def hash_in(name: str) -> str:
    """The hash that a name carries before its ending (`one.HASH.parquet`, `HASH.safetensors`); empty if none."""
    before = name.rpartition("/")[2].split(".")[-2:-1]
    return before[0] if before and _HASH.fullmatch(before[0]) else ""


class Files:
    """The files of a store.

    Attributes:
        objects: where they lie.
        damaged: those that this process found damaged; they count as absent from then on.
    """

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.damaged: list[Damaged] = []
        self._sound: set[str] = set()

    def read(self, name: str) -> bytes:
        """The content of a file, hashed when this process reads it for the first time.

        Raises:
            LostError: if it is not there, or damaged; it is then set aside.
        """
        data = self.objects.read(name)
        expected = hash_in(name)
        if not expected or name in self._sound:
            return data
        if content_hash(data) != expected:
            # Read once more: the error may lie in the transfer and not in the file.
            data = self.objects.read(name)
            if content_hash(data) != expected:
                raise self.set_aside(name, "its content does not match the hash in its name")
        self._sound.add(name)
        return data

    def listing(self, folder: str, prefix: str = "") -> list[Found]:
        """The files in a folder of the store, in the order of their names."""
        stuck = {each.name for each in self.damaged if not each.kept}
        return [found for found in self.objects.listing(folder, prefix) if found.name not in stuck]

    def set_aside(self, name: str, why: str) -> LostError:
        """Move a damaged file out of the way; the error to raise."""
        kept = self._free_name(name)
        try:
            self.objects.move(name, kept)
        except LostError:
            return LostError(f"{name} is gone; run the grid again to compute it anew")
        except StoreError:
            kept = ""
        why = why if len(why) <= 200 else f"{why[:200]}..."
        found = Damaged(name, why, kept)
        if found not in self.damaged:
            self.damaged.append(found)
        where = f"and set aside as {kept}" if kept else "and could not be set aside"
        return LostError(f"{name} is damaged ({why}) {where}; run the grid again to compute it anew")

    def _free_name(self, name: str) -> str:
        wanted = f"{DAMAGED}/{name}"
        taken = {found.name for found in self.objects.listing(wanted.rpartition("/")[0])}
        number, free = 1, wanted
        while free in taken:
            number += 1
            free = f"{wanted}.{number}"
        return free
