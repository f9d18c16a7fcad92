"""Measuring what a cell's record does not show."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...contracts import Probe
from ...errors import PluginError
from ...grid.cells import Cell
from ...grid.plan import Done
from ...plugins.specs import Spec
from ...results.store import Store
from ..context import RunContext
from ..crafting.stream import AdversarialStream, Batch, crafting_of
from ..data import LoadedPart
from ..models.loading import classifiers_of, module_of
from ..models.training import Progress
from ..models.weights import made_from_weights
from .base import Outcome, Step


@dataclass(frozen=True, eq=False, kw_only=True)
class ProbeStep(Step):
    """Craft the images that a probe selects, as the cell did, and keep what it measures, with their positions.

    Every image has its own stream of random numbers, so these are the images that the cell was judged by.
    """

    kind: ClassVar[str] = "probe"
    cell: Cell
    probe: Spec

    @property
    def threads(self) -> int:
        return self.cell.target.threads

    def remaining(self, done: Done) -> ProbeStep | None:
        return None if self.id in done.artifacts else self

    def describe(self) -> str:
        return f"{self.probe.label} of {self.cell.describe()}"

    def run(self, store: Store, context: RunContext, progress: Progress | None) -> tuple[Outcome, ...]:
        cell, probe = self.cell, self.probe.plugin
        made_from = made_from_weights([cell.target, cell.source], store)
        assert isinstance(probe, Probe)
        crafting, _ = crafting_of([cell], cell.root)
        stream = AdversarialStream(crafting, store, context, progress)
        positions = _selected(probe, stream.part)

        def pairs(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
            found = [adversarial.images.clone() for _, adversarial in batch.adversarial()]
            return batch.positions, batch.images, found[0] if found else batch.images

        batches = list(stream.batches(pairs, positions))
        for fault in stream.faults.values():
            raise PluginError(fault.reason)
        seen, clean, adversarial = (torch.cat(each) for each in zip(*batches, strict=True))
        # Batches of a fixed make-up come in the order of the part.
        order = torch.argsort(seen)[torch.argsort(torch.argsort(torch.as_tensor(positions)))]
        clean, adversarial = clean[order], adversarial[order]
        module = module_of(cell.target, store, context)
        target = classifiers_of(module, cell.target, "float32", stream.part, context)[0]
        found, facts = probe.measure(target, clean, adversarial), probe.facts(target, clean)
        self._keep(found, facts, positions, stream.part, store, made_from)
        return ()

    def _keep(
        self,
        found: object,
        facts: dict[str, str],
        positions: NDArray[np.intp],
        part: LoadedPart,
        store: Store,
        made_from: list[str],
    ) -> None:
        if not isinstance(found, dict) or not all(len(values) == len(positions) for values in found.values()):
            raise PluginError(
                f"probe '{self.probe.plugin.title}' must return arrays by name, each with one entry for each of the "
                f"{len(positions)} images"
            )
        tensors = {name: torch.as_tensor(np.ascontiguousarray(values)) for name, values in found.items()}
        content = store.save_tensors({**tensors, "positions": torch.as_tensor(positions.astype(np.int64))})
        samples = part.data.ids[positions].tolist()
        description = {
            **self.cell.axes(),
            "cell": self.cell.id,
            "probe": self.probe.label,
            "samples": samples,
            "facts": facts,
        }
        row = {
            "artifact": self.id,
            "kind": "probe",
            "content": content,
            "made_from": made_from,
            "description": json.dumps(description),
            "created": datetime.now(UTC),
        }
        store.write_rows("artifacts", self.id, [row])


def _selected(probe: Probe, part: LoadedPart) -> NDArray[np.intp]:
    """The positions that a probe asks for.

    Raises:
        PluginError: if they are none, or not in the part.
    """
    positions = np.asarray(probe.select(part.data.labels, len(part)))
    if positions.ndim != 1 or not np.issubdtype(positions.dtype, np.integer) or len(positions) == 0:
        raise PluginError(f"probe '{probe.title}' selects no images: {positions.dtype} {positions.shape}")
    if positions.min() < 0 or positions.max() >= len(part):
        raise PluginError(f"probe '{probe.title}' selects images beyond the {len(part)} there are")
    return positions.astype(np.intp)
