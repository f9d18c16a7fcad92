"""Writing a site into a folder: pages rendered, assets beside them, files of an earlier one removed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from medrobust import MedrobustError, __version__

from ..page import environment
from .page import File, Page

MARKER: Final = "medrobust-site.txt"
"""Says that a folder is a site, which may be written again."""
FOLDERS: Final = ("assets", "cells", "images", "models", "papers", "plugins", "ranking")
SECTIONS: Final[tuple[tuple[str, str], ...]] = (
    ("index", "Overview"),
    ("ranking", "Ranking"),
    ("papers", "Papers"),
    ("models", "Models"),
    ("cells", "Cells"),
    ("plugins", "Plugins"),
)
"""The pages that every page leads to."""
WRITERS, BATCH = 8, 256
"""Files that are written at once, and pages that are rendered before."""
ASSETS: Final = ("site.js", "dataTables.min.js", "NOTICES.txt")


@dataclass
class Writer:
    """Writes one site.

    Args:
        folder: where to.
        title: what the site is called.
        sections: pages that every page leads to, of `SECTIONS`.

    Raises:
        MedrobustError: if the folder holds something else than a site.
    """

    folder: Path
    title: str
    sections: tuple[tuple[str, str], ...] = SECTIONS
    bytes: int = 0
    written: set[Path] = field(default_factory=set)
    _folders: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.folder.is_file():
            raise MedrobustError(f"{self.folder} is a file; --out names a folder")
        if self.folder.exists() and any(self.folder.iterdir()) and not (self.folder / MARKER).exists():
            raise MedrobustError(f"{self.folder} holds other files; choose a new or an empty folder for the site")
        told = f"Written by medrobust {__version__}; writing the site again replaces this folder.\n"
        self.write([File(MARKER, told.encode())])

    def write(self, parts: Iterable[Page | File]) -> None:
        """Write pages and files."""
        # Opening a file takes longer than rendering a page on many file systems, and waits without computing.
        remaining = iter(parts)
        with ThreadPoolExecutor(WRITERS) as pool:
            while batch := [self._file_of(part) for part in itertools.islice(remaining, BATCH)]:
                list(pool.map(self._save, batch))

    def finish(self) -> None:
        """Write what all pages use, and remove what an earlier site had and this one has not."""
        self.write([File("assets/style.css", _styles())])
        self.write(File(f"assets/{name}", (files(__package__) / "assets" / name).read_bytes()) for name in ASSETS)
        for name in FOLDERS:
            folder = self.folder / name
            # What is in a folder before the folder.
            for path in [*sorted(folder.rglob("*"), reverse=True), folder]:
                if path.is_file() and path not in self.written:
                    path.unlink()
                elif path.is_dir() and not any(path.iterdir()):
                    path.rmdir()

    def _rendered(self, page: Page) -> str:
        shared: dict[str, Any] = {
            "site": self.title,
            "page": page,
            "root": page.root,
            "sections": self.sections,
            "version": __version__,
        }
        return environment().get_template(f"site/{page.template}").render({**shared, **page.context})

    def _file_of(self, part: Page | File) -> File:
        """What is to be written, counted and with its folder made."""
        file = part if isinstance(part, File) else File(part.path, self._rendered(part).encode())
        path = self.folder / file.path
        if path.parent not in self._folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(path.parent)
        self.written.add(path)
        self.bytes += len(file.content)
        return file

    def _save(self, file: File) -> None:
        (self.folder / file.path).write_bytes(file.content)


def _styles() -> bytes:
    """The style of a paper's page, and what a site adds."""
    paper = (files("medrobust_leaderboard") / "templates" / "page.css").read_bytes()
    return paper + b"\n" + (files(__package__) / "assets" / "site.css").read_bytes()
