"""Objects at a URL, by any file system that fsspec knows: buckets of S3, GCS, Azure, WebDAV, memory."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import fsspec

from ..errors import LostError, StoreError
from .objects import TEMPORARY, Found, Objects
from .places import Url

T = TypeVar("T")


class UrlObjects(Objects):
    """Objects below a URL. Access is as fsspec is configured: by the environment of its libraries, `FSSPEC_S3_KEY`
    and the like, or `~/.config/fsspec`.

    A write is whole where the storage writes whole objects, as buckets do. `create` is exclusive where the file system
    can do that (S3 itself, memory); where it cannot, two runs may do a step twice.

    Raises:
        StoreError: for an unknown scheme, or a library of fsspec that is not installed.
    """

    def __init__(self, url: Url) -> None:
        self.url = str(url)
        try:
            self._system: Any
            self._system, self._root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise StoreError(
                f"{self.url}: {error}; the extra s3 (pip install 'medrobust[s3]') is for s3://, other schemes need "
                "their own library of fsspec"
            ) from None
        find = getattr(self._system, "_find", self._system.find)
        self._finds = "prefix" in inspect.signature(find).parameters

    def read(self, name: str, *, last: int | None = None) -> bytes:
        def get() -> bytes:
            if last is None:
                return bytes(self._system.cat_file(self._at(name)))
            size = int(self._system.size(self._at(name)))
            return bytes(self._system.cat_file(self._at(name), start=max(size - last, 0), end=size))

        return self._asked(name, "read", get)

    def write(self, name: str, data: bytes) -> None:
        self._asked(name, "written", lambda: self._put(name, data, "overwrite"))

    def create(self, name: str, data: bytes) -> bool:
        try:
            self._asked(name, "written", lambda: self._put(name, data, "create"))
        except _ThereError:
            return False
        return True

    def listing(self, folder: str, prefix: str = "") -> list[Found]:
        def look() -> list[Mapping[str, Any]]:
            self._system.invalidate_cache(self._at(folder))
            try:
                if prefix and self._finds:
                    # Of a large folder, a server then tells only what is asked for.
                    return list(self._system.find(self._at(folder), prefix=prefix, detail=True).values())
                return list(self._system.ls(self._at(folder), detail=True))
            except FileNotFoundError:
                return []

        found = []
        for each in self._asked(folder, "listed", look):
            last = str(each["name"]).rstrip("/").rpartition("/")[2]
            beside = str(each["name"]).rstrip("/").rpartition("/")[0].endswith(f"/{folder}") or not prefix
            if each["type"] == "file" and beside and last.startswith(prefix) and not last.startswith(TEMPORARY):
                name = f"{folder}/{last}" if folder else last
                found.append(Found(name, int(each["size"]), _modified(each)))
        return sorted(found, key=lambda each: each.name)

    def remove(self, name: str) -> None:
        def gone() -> None:
            try:
                self._system.rm_file(self._at(name))
            except FileNotFoundError:
                return

        self._asked(name, "removed", gone)

    def anything(self) -> bool:
        def look() -> bool:
            self._system.invalidate_cache(self._root)
            try:
                return bool(self._system.ls(self._root, detail=False))
            except FileNotFoundError:
                return False

        return self._asked("", "listed", look)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _put(self, name: str, data: bytes, mode: str) -> None:
        if mode == "create":
            self._system.pipe_file(self._at(name), data, mode=mode)
        else:
            self._system.pipe_file(self._at(name), data)

    def _asked(self, name: str, done: str, ask: Callable[[], T]) -> T:
        """What a file system answers; its errors in words. Libraries of storages have errors of their own kinds."""
        try:
            return ask()
        except FileExistsError:
            raise _ThereError(f"{self.url}/{name} is there") from None
        except Exception as error:
            if isinstance(error, FileNotFoundError) and done == "read":
                raise LostError(f"{self.url}/{name} is not there; run the grid again to compute it anew") from None
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise StoreError(
                f"{self.url}/{name}: cannot be {done} ({why}); are the address and the access right?"
            ) from error


class _ThereError(StoreError):
    """An object that was to be created is there."""


def _modified(about: Mapping[str, Any]) -> float:
    """When an object was written, as far as the file system says; else long ago."""
    for key in ("LastModified", "last_modified", "mtime", "modified", "updated", "created"):
        value = about.get(key)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return 0.0
