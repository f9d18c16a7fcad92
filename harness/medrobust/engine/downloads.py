"""Fetching the files of a data set into the data root, each once, with its checksum."""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter, ValidationError

from ..contracts import RemoteFile
from ..errors import DataError
from .resuming import Report, ResumingDownloader
from .unpacking import unpack

FOLDER = ".downloads"
"""Folder of the data root for downloads that are not whole, archives that are not unpacked, and the record of both."""

Outcome = Literal["fetched", "there", "present"]
"""`fetched` now, `there` since an earlier call, or `present` without a record: somebody else put it there."""


_RECORDS: Final = TypeAdapter(dict[str, dict[str, str]])


class Downloads:
    """The files below a data root that were fetched, by address, with the checksums that they had.

    Args:
        root: the data root.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / FOLDER
        self._file = self.folder / "fetched.json"

    def record(self, file: RemoteFile) -> dict[str, str] | None:
        """When a file was fetched and the checksum it had; None if it was not."""
        return self._records().get(file.url)

    def place(self, file: RemoteFile) -> Path:
        """Where a file belongs."""
        return self.root / file.path

    def matches(self, place: Path, checksum: str) -> bool:
        """Whether the file at a place has a checksum such as `md5:...`."""
        kind, _, expected = checksum.rpartition(":")
        with place.open("rb") as stream:
            return hashlib.file_digest(stream, kind or "sha256").hexdigest() == expected.lower()

    def is_there(self, file: RemoteFile) -> Outcome | None:
        """Whether a file need not be fetched.

        Raises:
            DataError: if its record is damaged.
        """
        there = self.place(file).exists()
        if self.record(file) is not None and there:
            return "there"
        return "present" if there and file.packing in ("", "gz") else None

    def fetch(self, file: RemoteFile, report: Report, *, again: bool = False) -> Outcome:
        """Fetch a file, check it, unpack it and record it; an interrupted download is continued.

        Args:
            file: what to fetch.
            report: called with (bytes there, bytes in all or None).
            again: fetch it even if it is there.

        Raises:
            DataUnavailable: if the server refuses.
            DataError: if the connection fails, the checksum is another one, or an archive cannot be unpacked.
        """
        if not again and (found := self.is_there(file)):
            return found
        import pooch

        pooch.get_logger().setLevel(logging.WARNING)  # it would print a checksum for its own users
        earlier = self.record(file)
        expected = file.known_hash or (earlier["checksum"] if earlier else None)
        name = hashlib.sha256(file.url.encode()).hexdigest()[:16]
        downloader = ResumingDownloader(self.folder / f"{name}.part", report)
        try:
            whole = Path(pooch.retrieve(file.url, expected, f"{name}.whole", self.folder, downloader=downloader))
        except ValueError:
            whose = "the publisher's" if file.known_hash or not earlier else f"that of {earlier['fetched']}"
            raise DataError(
                f"{file.url}: the checksum is not {whose} ({expected}); the download was thrown away. Fetch it again; "
                "if that does not help, the publisher has changed the file"
            ) from None
        checksum = file.known_hash or f"sha256:{pooch.file_hash(str(whole))}"
        if file.packing:
            unpack(whole, file.packing, self.place(file))
            whole.unlink()
        else:
            self.place(file).parent.mkdir(parents=True, exist_ok=True)
            whole.replace(self.place(file))
        self._note(file, checksum)
        return "fetched"

    def _records(self) -> dict[str, dict[str, str]]:
        try:
            found = _RECORDS.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            why = str(error).splitlines()[0][:200]
            raise DataError(f"{self._file} cannot be read ({why}); delete it") from None
        if lacking := [url for url, record in found.items() if not {"checksum", "fetched"} <= record.keys()]:
            raise DataError(f"{self._file} has no checksum for {lacking[0][:200]}; delete it")
        return found

    def _note(self, file: RemoteFile, checksum: str) -> None:
        today = datetime.now(UTC).date().isoformat()
        noted = {"path": file.path, "checksum": checksum, "fetched": today}
        records = {**self._records(), file.url: noted}
        beside = self._file.with_suffix(".part")
        beside.write_text(json.dumps(records, indent=1), encoding="utf-8")
        beside.replace(self._file)
