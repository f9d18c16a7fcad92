"""Where the files of a data set come from: facts that its author declares as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Packing = Literal["", "zip", "tar", "gz"]


@dataclass(frozen=True)
class RemoteFile:
    """A file that a publisher offers by plain HTTPS, without a login.

    Attributes:
        url: where it is.
        path: where it belongs below the data root, with forward slashes. Of an archive: the folder that it is unpacked
            into, after which the archive itself is deleted.
        known_hash: its checksum as `sha256:...` or `md5:...`, stated by the publisher or computed from a copy that is
            certain; None where none is known. The checksum of the first download is then recorded, and later ones are
            compared with it.
        packing: how it is packed: `zip` or `tar` (compressed or not) for archives, `gz` for one compressed file.
    """

    url: str
    path: str
    known_hash: str | None = None
    packing: Packing = ""

    @property
    def name(self) -> str:
        """The last part of its address, for messages."""
        return self.url.partition("?")[0].rstrip("/").rpartition("/")[2]


@dataclass(frozen=True)
class Origin:
    """Who publishes a data set, how large it is and how its files lie.

    Attributes:
        page: address of the publisher's page.
        size: number of images and of bytes, in words.
        layout: the files below the data root, a line each.
        access: what it takes to get the files that `files` does not name, such as an account; empty if nothing.
        files: what `medrobust data get` fetches.
    """

    page: str
    size: str
    layout: tuple[str, ...]
    access: str = ""
    files: tuple[RemoteFile, ...] = ()
