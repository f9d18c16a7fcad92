"""What of a store may be told to others: no pixels, patients, sample names or local paths, unless somebody says so."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PureWindowsPath
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import PluginError
from ..plugins.registry import Registry
from .record import Record
from .samples import Samples
from .store import Store

WITHHELD: Final = "withheld"
"""Stands for what is not told; of a path, with a hash beside it, so that two paths stay two."""
WEIGHTS: Final = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")
"""Files that are called by their names without the folder, as identities call checkpoints."""
_START: Final = r"(?:/(?![/\s]|\d+\b)|(?<!:)//\w|~[\w.-]*/|\.\.[\\/]|[A-Za-z]:[\\/]|\\\\|file:/)"
_WHOLE: Final = re.compile(_START)
_QUOTED: Final = re.compile(rf"(?P<quote>['\"`])(?P<path>{_START}[^'\"`\n]*)(?P=quote)")
_REST: Final = r"[^\s'\"`,;()\[\]{}<>]*"
_BARE: Final = re.compile(rf"(?<![\w/.])(?P<path>{_START}{_REST})")
_DATA_FILE: Final = re.compile(
    r"[^\s'\"`,;:()\[\]{}<>=]+\.(?:png|jpe?g|tiff?|bmp|dcm|nii|gz|np[yz]|h5|csv|tsv)\b", re.IGNORECASE
)
_QUOTE: Final = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")

T = TypeVar("T", Samples, Record)


@dataclass(frozen=True)
class Publication:
    """How results are told to people who may not see everything.

    Attributes:
        with_ids: tell sample and patient ids as they are; otherwise each is a hash with the salt.
        with_images: show images of data sets that permit it; see `shows_images`.
        salt: what ids are hashed with. It is drawn anew each time and written nowhere: who has the data could otherwise
            hash the ids that are in it. Equal ids have equal hashes within one publication only.
        paths: local paths to withhold wherever they occur, beside everything that looks like one.
    """

    with_ids: bool = False
    with_images: bool = False
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    paths: tuple[str, ...] = ()
    _told: dict[tuple[str, str], str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, store: Store, *, with_ids: bool = False, with_images: bool = False) -> Publication:
        """For a store, whose records may name paths that do not look like one, such as those with blanks."""
        definitions = store.cells(["definition"])["definition"].dropna().unique()
        paths = {text for each in definitions for text in _strings(_parsed(each)) if _is_local(text)}
        own = {str(each) for each in (store.path.absolute(), Path.cwd(), Path.home()) if len(each.parts) > 1}
        return cls(with_ids, with_images, paths=tuple(sorted(paths | own, key=lambda p: (-len(p), p))))

    # Ids -------------------------------------------------------------------------------------------------------------

    def ids(self, ids: Iterable[str]) -> NDArray[np.str_]:
        """Sample ids as they may be told, in their order."""
        return self._hashed("sample", ids)

    def groups(self, groups: Iterable[str]) -> NDArray[np.str_]:
        """Ids of groups (patients) as they may be told, in their order."""
        return self._hashed("group", groups)

    def of_samples(self, samples: T) -> T:
        """Samples, or a record, with such ids."""
        groups = None if samples.groups is None else self.groups(samples.groups.tolist())
        return replace(samples, ids=self.ids(samples.ids.tolist()), groups=groups)

    def _hashed(self, kind: str, names: Iterable[str]) -> NDArray[np.str_]:
        return np.array([str(name) if self.with_ids else self._hash(kind, str(name)) for name in names], dtype=np.str_)

    def _hash(self, kind: str, name: str) -> str:
        found = self._told.get((kind, name))
        if found is None:
            keyed = hashlib.blake2b(name.encode(errors="surrogatepass"), key=self.salt, digest_size=10)
            keyed.update(b"\0" + kind.encode())
            found = self._told[kind, name] = keyed.hexdigest()
        return found

    # Words -----------------------------------------------------------------------------------------------------------

    def label(self, text: str) -> str:
        """The name of something, without local paths."""
        if _is_local(text):
            return self._path(text)
        for path in self.paths:
            text = re.sub(re.escape(path) + _REST, lambda m: self._path(m[0]), text)
        text = _QUOTED.sub(lambda m: f"{m['quote']}{self._path(m['path'])}{m['quote']}", text)
        return _BARE.sub(lambda m: self._path(m["path"]), text)

    def text(self, text: str) -> str:
        """A sentence without local paths and names of data files."""
        return _DATA_FILE.sub(WITHHELD, self.label(text))

    def reason(self, text: str) -> str:
        """Why a cell failed: what raised may have quoted anything, so quotations are withheld as well as paths."""
        text = self.text(text)
        return text if self.with_ids else _QUOTE.sub(f"'{WITHHELD}'", text)

    def grid(self, name: str) -> str:
        """The name of a grid, which begins with that of its folder."""
        folder, slash, own = name.rpartition("/")
        return f"{self._path(folder)}/{self.label(own)}" if slash else self.label(name)

    def value(self, value: Any) -> Any:
        """JSON values whose texts have no local path, keys included."""
        if isinstance(value, str):
            return self.label(value)
        if isinstance(value, Mapping):
            return {self.value(str(key)): self.value(each) for key, each in value.items()}
        return [self.value(each) for each in value] if isinstance(value, list) else value

    def json(self, text: str) -> str:
        """The same of JSON in a column of a table; what is no JSON is withheld."""
        parsed = _parsed(text)
        return WITHHELD if parsed is None else json.dumps(self.value(parsed), sort_keys=True, separators=(",", ":"))

    def _path(self, path: str) -> str:
        name = PureWindowsPath(path).name
        if name.lower().endswith(WEIGHTS):
            return name
        return f"{WITHHELD}-{self._hash('path', path)[:6]}"

    # Images ----------------------------------------------------------------------------------------------------------

    def shows_images(self, definition: str, registry: Registry) -> bool:
        """Whether images that a cell was evaluated on may be shown: they are asked for, and their terms permit it.

        Args:
            definition: the column `definition` of the cell.
            registry: where the declaration of its data set is found; one that is not there permits nothing.
        """
        return self.with_images and may_redistribute(definition, registry)


def named_as(told: T, here: T) -> T:
    """Samples with hashed ids, or a record of them, under the ids of the same images here, position by position.

    Ids stay hashes where they cannot be those of the other: another number of images, an id that stands twice. So do
    patients whose images are not the same ones.
    """
    if len(told.ids) != len(here.ids) or len(np.unique(told.ids)) != len(told.ids):
        return told
    same = told.groups is not None and here.groups is not None and _who(told.groups) == _who(here.groups)
    return replace(told, ids=here.ids, groups=here.groups if same else told.groups)


def _who(groups: NDArray[np.str_]) -> list[int]:
    """Patients numbered in the order in which they come."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(group, len(numbers)) for group in groups.tolist()]


def may_redistribute(definition: str, registry: Registry) -> bool:
    """Whether the data set of a cell's images declares that they may be passed on."""
    written = _parsed(definition)
    if not isinstance(written, dict):
        return False
    part = written.get("evaluate_on")
    dataset = part.get("dataset") if isinstance(part, dict) else written.get("dataset")
    name = dataset.get("name") if isinstance(dataset, dict) else None
    try:
        plugin = registry.find("dataset", name).plugin if isinstance(name, str) else None
    except PluginError:
        return False
    return getattr(plugin, "redistributable", False) is True


def _is_local(text: str) -> bool:
    """Whether a whole text is a path of one machine: absolute, of a home folder, or one that leaves its folder."""
    return bool(_WHOLE.match(text)) or ".." in re.split(r"[\\/]", text)


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield str(key)
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
