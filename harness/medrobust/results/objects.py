"""Where a store keeps what it holds: whole objects under names, by the few operations that any storage offers.

Everything in a store goes through `Objects`. Another kind of storage is one more subclass; buckets and whatever
else fsspec knows are `url_objects.UrlObjects`.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import LostError, PlaceError, StoreError
from .places import Url
from .refused import refused

TEMPORARY = ".tmp-"
"""How the names of files begin that are being written."""


@dataclass(frozen=True)
class Found:
    """An object in a listing.

    Attributes:
        name: such as `cells/one.parquet`.
        size: in bytes.
        modified: seconds since the epoch, by the clock of the storage.
    """

    name: str
    size: int
    modified: float


class Objects(ABC):
    """Named objects. A name is a path of letters, digits, `.`, `-` and `_`, with `/` between its parts.

    An object is read and written as a whole: who reads one sees all that was written under its name at one time, or
    nothing. Every method raises StoreError where the storage refuses.
    """

    @abstractmethod
    def read(self, name: str, *, last: int | None = None) -> bytes:
        """The content of an object, or its last bytes.

        Raises:
            LostError: if there is no such object.
        """

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Write an object, in place of an older one of that name."""

    @abstractmethod
    def create(self, name: str, data: bytes) -> bool:
        """Write an object unless there is one of that name; whether it was written.

        A storage that cannot tell writes in any case. Two runs may then compute a step twice, and lose nothing else.
        """

    @abstractmethod
    def listing(self, folder: str, prefix: str = "") -> list[Found]:
        """The objects directly in a folder whose names there begin so, in the order of their names."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""

    def move(self, name: str, to: str) -> None:
        """Give an object another name.

        Raises:
            LostError: if there is no such object.
        """
        self.write(to, self.read(name))
        self.remove(name)

    def unfinished(self, folder: str) -> list[Found]:
        """What writes that were killed left in a folder."""
        return []

    def anything(self) -> bool:
        """Whether there is anything at all, but for what is being written."""
        return bool(self.listing(""))


class LocalObjects(Objects):
    """Files below a folder, which is made when the first is written.

    A file is written beside its place, flushed to disk and renamed, so that a kill at any moment leaves all of it or
    nothing.

    Args:
        path: the folder.
        sign: an object that stays once it was there. Where it has gone, the folder was moved or removed or its disk is
            away, and nothing is written into what is there instead.
    """

    def __init__(self, path: Path, sign: str = "") -> None:
        self.path = path
        self.sign = sign
        self._signed = bool(sign) and (path / sign).exists()

    def read(self, name: str, *, last: int | None = None) -> bytes:
        try:
            with (self.path / name).open("rb") as stream:
                if last is not None:
                    stream.seek(max(stream.seek(0, os.SEEK_END) - last, 0))
                return stream.read()
        except (FileNotFoundError, NotADirectoryError):
            raise LostError(f"{self.path / name} is not there; run the grid again to compute it anew") from None
        except OSError as error:
            raise StoreError(f"{self.path / name}: cannot be read ({error.strerror or error})") from error

    def write(self, name: str, data: bytes) -> None:
        with self._beside(name, data) as temporary:
            temporary.replace(self.path / name)

    def create(self, name: str, data: bytes) -> bool:
        with self._beside(name, data) as temporary:
            try:
                os.link(temporary, self.path / name)
            except FileExistsError:
                return False
            except OSError:
                # No hard links here. Whoever reads this file while it is written sees a part of it.
                return self._create_in_place(name, data)
            return True

    def _create_in_place(self, name: str, data: bytes) -> bool:
        try:
            stream = (self.path / name).open("xb")
        except FileExistsError:
            return False
        try:
            with stream:
                stream.write(data)
        except OSError:
            (self.path / name).unlink(missing_ok=True)  # a part of it would be taken for somebody's
            raise
        return True

    @contextlib.contextmanager
    def _beside(self, name: str, data: bytes) -> Iterator[Path]:
        """A temporary file in the folder of an object, with its content, on disk; the folder is flushed afterwards."""
        file = self.path / name
        self._check_sign(name)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle, made = tempfile.mkstemp(prefix=TEMPORARY, suffix=file.suffix, dir=file.parent)
            temporary = Path(made)
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                temporary.chmod(0o644)
                yield temporary
            finally:
                temporary.unlink(missing_ok=True)
            _flush(file.parent)
        except OSError as error:
            self._check_sign(name)
            raise refused(file, error, "choose another --store") from error

    def _check_sign(self, name: str) -> None:
        if not self.sign or name == self.sign:
            return
        there = (self.path / self.sign).exists()
        if self._signed and not there:
            raise vanished(self.path)
        self._signed = there

    def listing(self, folder: str, prefix: str = "") -> list[Found]:
        return [f for f in self._files(folder, prefix) if not f.name.rpartition("/")[2].startswith(TEMPORARY)]

    def unfinished(self, folder: str) -> list[Found]:
        return self._files(folder, TEMPORARY)

    def _files(self, folder: str, prefix: str) -> list[Found]:
        found = []
        try:
            with os.scandir(self.path / folder) as entries:
                for entry in entries:
                    if entry.name.startswith(prefix) and entry.is_file():
                        with contextlib.suppress(FileNotFoundError):
                            about = entry.stat()
                            name = f"{folder}/{entry.name}" if folder else entry.name
                            found.append(Found(name, about.st_size, about.st_mtime))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise StoreError(f"{self.path / folder}: cannot be read ({error.strerror or error})") from error
        return sorted(found, key=lambda each: each.name)

    def anything(self) -> bool:
        return self.path.exists() and any(not f.name.startswith(TEMPORARY) for f in self.path.iterdir())

    def remove(self, name: str) -> None:
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{self.path / name}: cannot be removed ({error.strerror or error})") from error

    def move(self, name: str, to: str) -> None:
        """Rename a file, whether it can be read or not."""
        try:
            (self.path / to).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).rename(self.path / to)
        except FileNotFoundError:
            raise LostError(f"{self.path / name} is not there") from None
        except OSError as error:
            raise StoreError(f"{self.path / name}: cannot be moved ({error.strerror or error})") from error


def vanished(path: Path) -> PlaceError:
    """The error for a store that was there when the run began."""
    return PlaceError(
        f"{path}: the store is gone; it was moved or removed, or its disk is away: put it back, or run again to begin "
        "anew"
    )


def objects_at(path: Path, sign: str = "") -> Objects:
    """The objects at a place: a folder, or a URL as `places.absolute` gives it; `sign` as of `LocalObjects`.

    Raises:
        StoreError: if a file is there.
    """
    if isinstance(path, Url):
        from .url_objects import UrlObjects  # fsspec is asked for its file systems where one is used

        return UrlObjects(path)
    if path.exists() and not path.is_dir():
        raise StoreError(f"{path}: is a file, not a store")
    return LocalObjects(path, sign)


def _flush(folder: Path) -> None:
    """Write to disk that files of a folder came or went, where a system can: Windows opens no folders."""
    try:
        opened = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
