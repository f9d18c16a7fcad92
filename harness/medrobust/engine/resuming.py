"""A downloader for pooch that goes on where an interrupted download ended."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from ..errors import DataError, DataUnavailable

ATTEMPTS = 5
"""How often a connection is made anew before giving up; an attempt that brought something counts for nothing."""
PAUSE = 1.0
"""Seconds before an attempt is repeated; doubled with each further one that brings nothing."""
BLOCK = 1 << 20
"""Bytes written at once."""
TIMEOUT = (20, 60)
"""Seconds to wait for a connection, and for the next bytes."""

Report = Callable[[int, int | None], None]
"""Called with (bytes there, bytes in all or None where the server does not say)."""


@dataclass(frozen=True)
class ResumingDownloader:
    """Fetches a URL into `part`, asking for what is missing only, and hands the whole file over.

    The server's validator (ETag or Last-Modified) is kept beside `part`, so that two versions of a file are not mixed.

    Attributes:
        part: where the download is while it is not whole; it stays there after an interruption.
        report: is told how far it is.
    """

    part: Path
    report: Report

    def __call__(self, url: str, output_file: Any, pooch: Any = None) -> None:
        """Download `url` to `output_file`, as pooch asks for it.

        Raises:
            DataUnavailable: if the server refuses.
            DataError: if the connection fails again and again, or the disk is full.
        """
        self.part.parent.mkdir(parents=True, exist_ok=True)
        attempt = 0
        while True:
            before = self._there
            try:
                self._go_on(url)
                break
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                attempt = 0 if self._there > before else attempt + 1
                if attempt >= ATTEMPTS:
                    raise DataError(
                        f"{url}: the connection failed {ATTEMPTS} times ({type(error).__name__}); {self._there} bytes "
                        "are there, and the same command continues with them"
                    ) from None
                time.sleep(PAUSE * 2**attempt)
        self._validator.unlink(missing_ok=True)
        self.part.replace(output_file)

    @property
    def _there(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    @property
    def _validator(self) -> Path:
        return self.part.with_name(f"{self.part.name}.version")

    def _go_on(self, url: str) -> None:
        start = self._there
        # Compressed on the way, a file would be other bytes than those that its checksum is of.
        headers = {"Accept-Encoding": "identity"}
        if start and self._validator.exists():
            headers |= {"Range": f"bytes={start}-", "If-Range": self._validator.read_text(encoding="utf-8")}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == 416:
                # What is there is not the beginning of what the server has now.
                self.part.unlink()
                raise requests.ConnectionError("the download begins anew")
            if answer.status_code >= 400:
                raise DataUnavailable(f"{url}: the server answers {answer.status_code} {answer.reason}")
            if answer.status_code != 206:
                start = 0
            total = _total(answer, start)
            self._check_room(total, start)
            if validator := _validator(answer):
                self._validator.write_text(validator, encoding="utf-8")
            with self.part.open("ab" if start else "wb") as stream:
                for block in answer.iter_content(BLOCK):
                    stream.write(block)
                    self.report(stream.tell(), total)
        if total is not None and self._there < total:
            raise requests.ConnectionError(f"the server ended at {self._there} of {total} bytes")

    def _check_room(self, total: int | None, start: int) -> None:
        free = shutil.disk_usage(self.part.parent).free
        if total is not None and total - start > free:
            raise DataError(
                f"{self.part.parent} has {free / 1e9:.1f} GB free and the download needs {(total - start) / 1e9:.1f} GB"
            )


def _validator(answer: requests.Response) -> str | None:
    """What tells this version of a file from others byte by byte: a strong ETag, else the date of the last change."""
    tag: str = answer.headers.get("ETag", "")
    changed: str | None = answer.headers.get("Last-Modified")
    return tag if tag and not tag.startswith("W/") else changed


def _total(answer: requests.Response, start: int) -> int | None:
    """Bytes of the whole file, where the server says."""
    if answer.status_code == 206:
        size = answer.headers.get("Content-Range", "").rpartition("/")[2]
        return int(size) if size.isdigit() else None
    length = answer.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None
