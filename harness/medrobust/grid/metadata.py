"""What is known of data sets and checkpoints without decoding them."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from ..contracts import PUBLISHED, DataInfo, Dataset, DataSource, Model
from ..errors import DataUnavailable, MedrobustError, PluginError
from ..plugins.registered import cause_of
from ..plugins.registry import Registry
from ..plugins.specs import Spec
from .identity import Fields, digest
from .overlap import check_splits


class MetadataCache:
    """Descriptions and identity fields of data sets and models, asked once each.

    Args:
        source: where files are looked for.
        registry: where plugins are looked up.
        cache: a folder in which to note which data sets have been checked; without it, each is checked anew.
        checkpoints: content of checkpoints, by path, to be believed where the file is not on this machine.
    """

    def __init__(
        self,
        source: DataSource,
        registry: Registry,
        cache: Path | None = None,
        checkpoints: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.source = source
        self.registry = registry
        self.cache = cache
        self.checkpoints = checkpoints
        self._data: dict[str, tuple[DataInfo, Fields] | MedrobustError] = {}
        self._models: dict[str, Fields] = {}

    def believing(self, checkpoints: Mapping[str, str]) -> MetadataCache:
        """The same, with what a record says of its checkpoints."""
        found = MetadataCache(self.source, self.registry, self.cache, checkpoints)
        found._data = self._data
        return found

    def data(self, dataset: Spec) -> tuple[DataInfo, Fields]:
        """The description and the identity fields of a data set.

        Raises:
            DataUnavailable: if its files are not there.
            DataError: if images or groups are in several of its splits.
        """
        key = dataset.canonical
        if key not in self._data:
            assert isinstance(dataset.plugin, Dataset)
            try:
                info = dataset.plugin.describe(self.source)
                fields = {**dataset.fields, "fingerprint": dataset.plugin.fingerprint(self.source)}
                self._check_splits(dataset, info, fields)
                self._data[key] = (info, fields)
            except MedrobustError as error:
                self._data[key] = error
            except Exception as error:  # noqa: BLE001 - a defect of one plugin must not end the run
                origin = f"{dataset.offer.distribution} {dataset.offer.version}"
                self._data[key] = PluginError(f"data set '{dataset.label}' ({origin}): {cause_of(error)}")
        found = self._data[key]
        if isinstance(found, MedrobustError):
            raise found
        return found

    def described(self, dataset: Spec) -> DataInfo | None:
        """The description of a data set; None if its files are missing or it is faulty."""
        try:
            return self.data(dataset)[0]
        except MedrobustError:
            return None

    def _check_splits(self, dataset: Spec, info: DataInfo, fields: Fields) -> None:
        """Look for images and groups in several splits, where the data set tells who is where; once for each content.

        Raises:
            DataError: if there are some.
        """
        assert isinstance(dataset.plugin, Dataset)
        note = self.cache / "checked" / digest(fields) if self.cache and dataset.plugin.cached else None
        if note is not None and note.exists():
            return
        if (members := dataset.plugin.members(self.source)) is None:
            return
        check_splits(members, f"data set '{dataset.label}'", shared_groups=info.shared_groups)
        if note is not None:
            with contextlib.suppress(OSError):
                note.parent.mkdir(parents=True, exist_ok=True)
                note.touch()

    def model(self, model: Spec) -> Fields:
        """The identity fields of a model; a file of weights counts by its content."""
        key = model.canonical
        if key not in self._models:
            assert isinstance(model.plugin, Model)
            fields = model.fields
            if model.plugin.init in PUBLISHED and (weights := model.plugin.imagenet_file(self.source)):
                fields = {**fields, "imagenet": _file_hash(weights)}
            if isinstance(model.plugin.init, str) and model.plugin.init not in ("random", *PUBLISHED):
                fields = {
                    **fields,
                    "init": Path(model.plugin.init).name,
                    "checkpoint": self._content(model.plugin.init),
                }
            self._models[key] = fields
        return self._models[key]

    def _content(self, checkpoint: str) -> str:
        try:
            return _file_hash(self.source.find(checkpoint, what=f"checkpoint '{checkpoint}'"))
        except DataUnavailable:
            if checkpoint in self.checkpoints:
                return self.checkpoints[checkpoint]
            raise


def _file_hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
