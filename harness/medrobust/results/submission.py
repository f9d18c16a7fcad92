"""Submissions: part of a store in one archive, for others to verify and to publish.

    submission.json     what it is, and what was withheld
    store/              a store with the cells, as a publication tells them (see `publication`)
    source/NAME/        the source of the plugins of third parties, by distribution

Nothing in an archive is run or believed because it is there: `engine.submissions` verifies it.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from ..errors import StoreError
from ..plugins.packing import Source
from ..plugins.registry import Registry
from .archive import pack, unpack
from .excerpt import Excerpt, write_excerpt
from .marker import MARKER
from .publication import Publication
from .schema import TABLES
from .store import Store
from .tensors import FOLDER as TENSORS
from .untrusted import check_tables

VERSION: Final = 1
FACTS: Final = "submission.json"
STORE: Final = "store"
SOURCE: Final = "source"
_TABLE_FILE: Final = re.compile(rf"(?:{'|'.join(TABLES)})/[A-Za-z0-9_-]+\.[0-9a-f]{{32}}\.parquet")
_TENSOR_FILE: Final = re.compile(rf"{TENSORS}/[0-9a-f]{{32}}\.safetensors")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class Packed:
    """A distribution whose source is in the archive.

    Attributes:
        distribution: its name.
        version: its version.
        file: the name of the plugin file, if it is a local one; empty if it is installed.
    """

    distribution: str
    version: str
    file: str


@dataclass(frozen=True)
class Facts:
    """What a submission says of itself.

    Attributes:
        submission: version of the format.
        created: when it was packed.
        cells: how many.
        ids: whether ids of samples and patients are hashes.
        images: whether it has probes, which hold pixels.
        source: whether the source of third parties' plugins is packed.
        plugins: the distributions of these plugins whose source is packed.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    submission: Literal[1]
    created: str
    cells: int
    ids: Literal["hashed", "told"]
    images: bool
    source: Literal["packed", "withheld"]
    plugins: tuple[Packed, ...]


@dataclass(frozen=True)
class Submission:
    """A submission that was unpacked.

    Attributes:
        file: the archive.
        folder: where its content is.
        facts: what it says of itself.
        store: its store.
    """

    file: Path
    folder: Path
    facts: Facts
    store: Store

    @property
    def plugin_files(self) -> tuple[Path, ...]:
        """Local plugin files in it."""
        return tuple(self.folder / SOURCE / p.distribution / p.file for p in self.facts.plugins if p.file)

    @property
    def folders(self) -> tuple[Path, ...]:
        """What belongs on Python's path so that the installed distributions in it are found."""
        return tuple(self.folder / SOURCE / p.distribution for p in self.facts.plugins if not p.file)

    @property
    def distributions(self) -> frozenset[str]:
        """The distributions whose source is in it."""
        return frozenset(p.distribution for p in self.facts.plugins)


def write_submission(
    store: Store,
    cells: Collection[str],
    file: Path,
    publication: Publication,
    registry: Registry,
    sources: Sequence[Source] | None,
) -> Excerpt:
    """Pack cells of a store.

    Args:
        store: where the cells are; nothing is written to it.
        cells: their identities; the clean records that they are compared with are added.
        file: the archive to write.
        publication: what is told.
        registry: where data sets declare whether their images may be shown.
        sources: the source of third parties' plugins; None to withhold it.

    Raises:
        StoreError: if a record is damaged, or the archive cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="medrobust-submit-") as folder:
        part = Store(Path(folder) / STORE)
        excerpt = write_excerpt(store, cells, part, publication, registry)
        facts = Facts(
            submission=VERSION,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            cells=excerpt.cells,
            ids="told" if publication.with_ids else "hashed",
            images=excerpt.probes > 0,
            source="withheld" if sources is None else "packed",
            plugins=tuple(Packed(s.distribution, s.version, s.file) for s in sources or ()),
        )
        content: list[tuple[str, Path | bytes]] = [(FACTS, json.dumps(asdict(facts), indent=1).encode())]
        files = sorted(each for each in part.path.rglob("*") if each.is_file())
        content += [(each.relative_to(folder).as_posix(), each) for each in files]
        for source in sources or ():
            named = sorted(source.content.items())
            content += [(f"{SOURCE}/{source.distribution}/{name}", each) for name, each in named]
        pack(file, content)
    return excerpt


def open_submission(file: Path, folder: Path) -> Submission:
    """Unpack a submission into a folder of its own, and look at everything in it that can be read without running it.

    Raises:
        StoreError: if it is none, holds what no submission holds, or any file of its store is damaged.
    """
    unpack(file, folder)
    facts = _facts(file, folder)
    for name in _files(folder):
        if not _belongs(name, facts):
            raise StoreError(f"{file}: holds {name!a}, which belongs to no submission")
    store = Store(folder / STORE)
    if not store.exists:
        raise StoreError(f"{file}: holds no store")
    check_tables(store, file)
    return Submission(file, folder, facts, store)


def is_submission(path: Path) -> bool:
    """Whether a path is meant as a submission and not as a store: any file is, a store being a folder."""
    return path.is_file()


def _facts(file: Path, folder: Path) -> Facts:
    try:
        text = (folder / FACTS).read_bytes()
    except FileNotFoundError:
        raise StoreError(f"{file}: has no {FACTS}, so it is no submission; 'medrobust submit' writes one") from None
    try:
        facts = TypeAdapter(Facts).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise StoreError(f"{file}: {FACTS} cannot be read: {where}: {first['msg']}") from None
    for packed in facts.plugins:
        if not _NAME.fullmatch(packed.distribution) or (packed.file and not _NAME.fullmatch(packed.file)):
            raise StoreError(f"{file}: {FACTS} names the plugin {packed.distribution!a} in {packed.file!a}")
        if packed.file and Path(packed.file).stem != packed.distribution:
            raise StoreError(f"{file}: {FACTS} names the plugin {packed.distribution} in {packed.file}")
    return facts


def _files(folder: Path) -> Iterator[str]:
    for each in sorted(folder.rglob("*")):
        if each.is_file():
            yield each.relative_to(folder).as_posix()


def _belongs(name: str, facts: Facts) -> bool:
    top, _, rest = name.partition("/")
    if top == STORE:
        return rest == MARKER or bool(_TABLE_FILE.fullmatch(rest) or _TENSOR_FILE.fullmatch(rest))
    if top == SOURCE:
        return rest.partition("/")[0] in {packed.distribution for packed in facts.plugins}
    return name == FACTS
