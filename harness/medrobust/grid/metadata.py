"""What is known of data sets and checkpoints without decoding them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from ..contracts import DataInfo, Dataset, DataSource, Model
from ..errors import DataUnavailable, MedrobustError, PluginError
from ..plugins.registry import Registry, cause_of
from ..plugins.specs import Spec
from .identity import Fields


class MetadataCache:
    """Descriptions and identity fields of data sets and models, asked once each.

    Args:
        source: where files are looked for.
        registry: where plugins are looked up.
        checkpoints: content of checkpoints, by path, to be believed where the file is not on this machine.
    """

    def __init__(
        self, source: DataSource, registry: Registry, checkpoints: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.source = source
        self.registry = registry
        self.checkpoints = checkpoints
        self._data: dict[str, tuple[DataInfo, Fields] | MedrobustError] = {}
        self._models: dict[str, Fields] = {}

    def believing(self, checkpoints: Mapping[str, str]) -> MetadataCache:
        """The same, with what a record says of its checkpoints."""
        found = MetadataCache(self.source, self.registry, checkpoints)
        found._data = self._data
        return found

    def data(self, dataset: Spec) -> tuple[DataInfo, Fields]:
        """The description and the identity fields of a data set.

        Raises:
            DataUnavailable: if its files are not there.
        """
        key = dataset.canonical
        if key not in self._data:
            assert isinstance(dataset.plugin, Dataset)
            try:
                info = dataset.plugin.describe(self.source)
                fields = {**dataset.fields, "fingerprint": dataset.plugin.fingerprint(self.source)}
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

    def model(self, model: Spec) -> Fields:
        """The identity fields of a model; a checkpoint file counts by its content."""
        key = model.canonical
        if key not in self._models:
            assert isinstance(model.plugin, Model)
            fields = model.fields
            if isinstance(model.plugin.init, str) and model.plugin.init not in ("random", "imagenet"):
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
