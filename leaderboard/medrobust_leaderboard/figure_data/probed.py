"""What probes measured of one cell, and which of its images a figure shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medrobust import MedrobustError, StoreError, decide
from medrobust.api import Entry, Record, Store, did_you_mean

from ..figure_specs import ImagesSpec, ScatterSpec, SurfacesSpec
from ..labels import Row
from ..report import PaperReport, cells_at
from ..selection import Selected, check_unique

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Probed:
    """One cell and what probes measured of it.

    Attributes:
        store: where it is kept.
        entry: the cell in its grid.
        where: the figure that asks, for messages.
    """

    store: Store
    entry: Entry
    where: str

    @cached_property
    def record(self) -> Record:
        assert self.entry.cell is not None
        record = next((r for _, r in self.store.records([self.entry.cell.id])), None)
        if record is None:
            raise StoreError("no record")
        return record

    @property
    def classes(self) -> tuple[str, ...]:
        assert self.entry.cell is not None
        return self.entry.cell.target.info.classes

    def identity(self, name: str) -> str:
        """Under which it is kept what the probe of this name or alias measured.

        Raises:
            MedrobustError: if the grid asks for no such probe of the cell.
        """
        assert self.entry.cell is not None
        probe = probe_of(self.entry, name)
        if probe is None:
            there = [name for probe in self.entry.probes for name in (probe.label, probe.offer.name)]
            raise MedrobustError(f"{self.where}: its cells have no probe '{name}'{did_you_mean(name, there)}")
        return self.entry.cell.probe_id(probe)

    def arrays(self, name: str) -> Arrays:
        """What a probe measured, with the `positions` of its images.

        Raises:
            StoreError: if it is not there, or not yet.
        """
        kept = self.store.load_tensors(self.store.artifact(self.identity(name)))
        return {key: tensor.numpy() for key, tensor in kept.items()}

    def decided(self, logits: NDArray[Any], positions: NDArray[np.intp]) -> list[str]:
        """The decisions on images, in words."""
        found = decide(torch.from_numpy(logits[positions]), multilabel=self.record.task == "multilabel").numpy()
        return self._in_words(found)

    def truth(self, positions: NDArray[np.intp]) -> list[str]:
        """The true classes of images, in words; empty where they are not known."""
        labels = self.record.labels
        return [""] * len(positions) if labels is None else self._in_words(labels[positions])

    def _in_words(self, found: NDArray[Any]) -> list[str]:
        if found.ndim == 1:
            return [self.classes[int(i)] for i in found]
        return [", ".join(c for c, yes in zip(self.classes, row, strict=True) if yes) or "none" for row in found]

    def common(self, names: Sequence[str]) -> tuple[NDArray[np.intp], dict[str, Arrays]]:
        """Positions of the images that all of these probes measured, and their arrays at these."""
        found = {name: self.arrays(name) for name in names}
        every = [arrays["positions"].tolist() for arrays in found.values()]
        shared = [p for p in every[0] if all(p in positions for positions in every[1:])]
        picked = {
            name: {key: values[[positions.index(p) for p in shared]] for key, values in arrays.items()}
            for (name, arrays), positions in zip(found.items(), every, strict=True)
        }
        return np.asarray(shared, dtype=np.intp), picked

    def order(self, positions: NDArray[np.intp], *, right_first: bool) -> list[int]:
        """The order in which images are shown.

        Those last whose class is the one that the attack asks for. With `right_first`, first those that the model
        decides rightly when they are clean, in turn of each class.
        """
        truth, decided = self.truth(positions), self.decided(self.record.clean, positions)
        goal = self.entry.cell.goal if self.entry.cell else None
        # Of images of several labels, no single class is asked for.
        single = self.record.labels is not None and self.record.labels.ndim == 1
        target = goal.target if goal and single else None
        if not right_first:
            return sorted(range(len(positions)), key=lambda i: truth[i] == target)
        wrong = [bool(t) and t != d for t, d in zip(truth, decided, strict=True)]
        turn = [sum(truth[j] == truth[i] and wrong[j] == wrong[i] for j in range(i)) for i in range(len(positions))]
        return sorted(range(len(positions)), key=lambda i: (truth[i] == target, wrong[i], turn[i]))

    def broken(self, positions: NDArray[np.intp], order: Sequence[int]) -> list[int]:
        """Those of some images that are decided rightly when clean and wrongly under attack; without labels, none."""
        truth = self.truth(positions)
        clean, adversarial = (self.decided(each, positions) for each in (self.record.clean, self.record.adversarial))
        return [i for i in order if truth[i] and clean[i] == truth[i] != adversarial[i]]


def one_of_each_class_first(order: Sequence[int], truth: Sequence[str]) -> list[int]:
    """The same images, one of each class before a second of any."""
    return sorted(order, key=lambda i: sum(truth[j] == truth[i] for j in order if j < i))


def rows_with_probes(report: PaperReport, spec: ImagesSpec | SurfacesSpec | ScatterSpec) -> list[Selected]:
    """What a figure selects; of cells that the grid names several times, the entries that ask for its probes."""
    selected = report.selected(spec)
    return [s for s in selected if all(probe_of(s.entry, name) for name in spec.probes)] or selected


def probe_of(entry: Entry, name: str) -> Any:
    """The probe of this name or alias that a grid asks for of a cell."""
    return next((probe for probe in entry.probes if name in (probe.label, probe.offer.name)), None)


def probed_cell(
    report: PaperReport, id_: str, key: Mapping[str, str], selected: Sequence[Selected], axes: Sequence[str]
) -> Probed | None:
    """The cell at one place of a figure, of the first of its seeds; None where there is none.

    Args:
        report: its plan and store.
        id_: of the figure, for messages.
        key: the labels of the place.
        selected: what the figure selects.
        axes: those of the figure; cells of one place must be equal on all others.
    """
    cells = [c for c in cells_at(key, selected) if c.cell]
    if not cells:
        return None
    first = min(cells, key=lambda c: _seed(c.row))
    where = f"{report.paper.name} {id_}"
    check_unique([c for c in cells if c.row.get("seed") == first.row.get("seed")], axes, where)
    return Probed(report.store, first.entry, where)


def _seed(row: Row) -> int:
    return int(row.get("seed", "0") or 0)


def layers_in_words(store: Store, entries: Sequence[Entry], names: Mapping[str, str]) -> str:
    """A sentence on the layers that probes looked at, as they kept them; empty if none looks at a layer.

    Args:
        store: where they kept it.
        entries: cells that were measured.
        names: how probes are called in the figure, by name or alias.
    """
    rows = store.rows("artifacts")
    described = dict(zip(rows["artifact"], rows["description"], strict=True))
    sentences = []
    for name, shown in names.items():
        asked = [(entry.cell, probe_of(entry, name)) for entry in entries if entry.cell is not None]
        kept = [described.get(cell.probe_id(probe)) for cell, probe in asked if probe is not None]
        facts = [json.loads(each).get("facts", {}) for each in kept if each]
        if layers := dict.fromkeys(f["layer"] for f in facts if "layer" in f):
            sentences.append(f"{shown}: layer {' or '.join(layers)}")
    return f"{'; '.join(sentences)}." if sentences else ""
