"""Some cells of a store, with all that they rest on, written to another store as a publication tells them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from ..contracts import AXES, TRAINED
from ..errors import StoreError
from ..plugins.registry import Registry
from .prune import probed_cell
from .publication import Publication
from .samples import from_rows, to_rows
from .schema import TABLES
from .store import Store
from .tables import JOINED
from .tensors import name_of

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "cells": (*AXES, "architecture", "init", *(f"surrogate_{name}" for name in TRAINED)),
    "fits": ("model", "dataset"),
    "parts": ("dataset",),
    "evidence": ("dataset", "model", "defense"),
    "requests": AXES,
}
"""Columns that hold names."""
JSON: Final[Mapping[str, tuple[str, ...]]] = {
    "cells": ("identity", "definition"),
    "fits": ("identity",),
    "artifacts": ("description",),
    "requests": ("tags",),
}
STEM: Final = f"{JOINED}submission"
"""How files are called: they hold what was written under many names."""
ROWS: Final = 200_000
"""Rows of the table `samples` that are written as one file."""


@dataclass(frozen=True)
class Excerpt:
    """What was written.

    Attributes:
        cells: how many cells, the clean records that others are compared with among them.
        weights, perturbations, probes: how many of each.
        withheld: probes that were left out, as they hold pixels.
    """

    cells: int
    weights: int
    perturbations: int
    probes: int
    withheld: int


def write_excerpt(
    store: Store, cells: Collection[str], to: Store, publication: Publication, registry: Registry
) -> Excerpt:
    """Write cells with their clean records, samples, weights, perturbations, evidence and labels to an empty store.

    What others are not told is left out or replaced (see `publication`): commands as they were typed, local paths,
    ids. Probes hold pixels or what follows from them; they are copied only where the images may be shown.

    Raises:
        StoreError: if a record is damaged.
    """
    return _Excerpt(store, to, publication, registry).write(cells)


@dataclass
class _Excerpt:
    store: Store
    to: Store
    publication: Publication
    registry: Registry

    def write(self, cells: Collection[str]) -> Excerpt:
        frame = self.store.cells()
        frame = frame[frame["status"] != "missing"]
        wanted = frame.index.intersection(sorted(cells))
        clean = frame.index.intersection(sorted(set(frame.loc[wanted, "clean"].dropna())))
        kept = frame.loc[wanted.union(clean)]
        self.to.create()
        weights = self._fits({each for listed in kept["weights"].dropna() for each in listed})
        probes, perturbations, withheld = self._artifacts(kept)
        parts = self.store.rows("parts")
        self._rows("parts", parts[parts["part"].isin(set(kept["part"].dropna()))])
        evidence = self.store.rows("evidence")
        evidence = evidence[evidence["target"].isin(set(kept["target"].dropna()))]
        self._rows("evidence", evidence, {"detail": self.publication.text})
        self._samples(kept["samples"].dropna().tolist())
        self._rows("cells", kept, {"reason": self.publication.reason})
        self._requests(set(kept["cell"]), probes)
        return Excerpt(len(kept), weights, perturbations, len(probes), withheld)

    def _fits(self, wanted: Collection[str]) -> int:
        fits = self.store.rows("fits")
        fits = fits[fits["fit"].isin(wanted) & fits["fit"].isin(self.store.fitted())]
        self._rows("fits", fits)
        self._tensors(fits["weights"])
        return len(fits)

    def _artifacts(self, kept: pd.DataFrame) -> tuple[set[str], int, int]:
        """The probes that were copied, how many perturbations were, and how many probes were not."""
        there = self.store.artifacts()
        rows = self.store.rows("artifacts")
        rows = rows[rows["artifact"].isin(there)]
        perturbation = rows["artifact"].isin(set(kept["perturbation"].dropna()))
        probed = rows["description"].map(probed_cell)
        # What detectors have learned is told to nobody: it holds features of patients' images, and is learned anew.
        mine = (rows["kind"] == "probe") & probed.isin(set(kept["cell"]))
        definitions = kept["definition"].to_dict()
        shown = mine & probed.map(lambda cell: cell in definitions and self._shows(definitions[cell])).astype(bool)
        copied = rows[perturbation | shown].copy()
        copied["description"] = copied["description"].map(self._described)
        self._rows("artifacts", copied)
        self._tensors(copied["content"])
        return set(rows.loc[shown, "artifact"]), int(perturbation.sum()), int(mine.sum() - shown.sum())

    def _shows(self, definition: object) -> bool:
        return isinstance(definition, str) and self.publication.shows_images(definition, self.registry)

    def _described(self, description: Any) -> Any:
        """The description of an artifact; a probe's names samples."""
        try:
            facts = json.loads(description)
            facts["samples"] = self.publication.ids(facts["samples"]).tolist()
        except (KeyError, TypeError, ValueError):
            return description
        return json.dumps(facts)

    def _samples(self, keys: Collection[str]) -> None:
        waiting: list[pa.Table] = []
        found: set[str] = set()
        for key, rows in self.store.tables.samples(keys):
            found.add(key)
            waiting.append(to_rows(key, self.publication.of_samples(from_rows(rows))))
            if sum(map(len, waiting)) >= ROWS:
                self.to.tables.write("samples", f"{STEM}-{len(found)}", pa.concat_tables(waiting))
                waiting = []
        if waiting:
            self.to.tables.write("samples", f"{STEM}-{len(found)}", pa.concat_tables(waiting))
        if lost := set(keys) - found:
            raise StoreError(
                f"{self.store.path}: the samples of {len(lost)} cells are gone; run their grid again "
                "('medrobust store check' says which)"
            )

    def _requests(self, cells: Collection[str], probes: Collection[str]) -> None:
        rows = self.store.requests()
        rows = rows[rows["cell"].isin(cells)].copy()
        rows["command"] = None
        rows["probes"] = rows["probes"].map(lambda ids: None if ids is None else [i for i in ids if i in probes])
        self._rows("requests", rows, {"grid": self.publication.grid})

    def _rows(self, table: str, rows: pd.DataFrame, more: Mapping[str, Callable[[str], str]] | None = None) -> None:
        """Write rows of a table, without what is not told."""
        if rows.empty:
            return
        rows = rows.copy()
        told: dict[str, Callable[[str], str]] = dict(more or {})
        told |= dict.fromkeys(NAMES.get(table, ()), self.publication.label)
        told |= dict.fromkeys(JSON.get(table, ()), self.publication.json)
        for column, tell in told.items():
            values = {text: tell(text) for text in rows[column].dropna().unique()}
            rows[column] = rows[column].map(values, na_action="ignore")
        schema = TABLES[table]
        self.to.tables.write(table, STEM, table_of(rows, schema))

    def _tensors(self, contents: Iterable[str]) -> None:
        for content in dict.fromkeys(contents):
            self.to.objects.write(name_of(content), self.store.files.read(name_of(content)))


def table_of(rows: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Rows as a table of a store; what pandas made of absent numbers is absent again."""
    columns = [pa.array(rows[field.name], type=field.type, from_pandas=True) for field in schema]
    return pa.table(columns, schema=schema)
