"""Recording: adversarial images, crafted once, get a verdict from each target and are written as cells."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...contracts import AnyAttack, UniversalAttack
from ...grid.cells import Cell
from ...grid.identity import VERDICT_DRAWS
from ...grid.plan import Done
from ...grid.targets import Target
from ...results.samples import Samples
from ...results.store import StepRecord, Store
from ...results.verdict import Norms, Status, Verified, logits_fault
from ..context import RunContext, peak_memory
from ..crafting.stream import AdversarialStream, Batch, Variant, crafting_of
from ..data import LoadedPart
from ..models.diagnose import diagnose
from ..models.loading import module_of, write_part
from ..models.random_models import verdict_logits
from ..models.training import Progress
from ..sizes import Sizes
from .base import History, Outcome, Step
from .rows import cell_row, made_from_of
from .work import Work, attack_work, verdict_work


@dataclass(frozen=True, eq=False, kw_only=True)
class CraftStep(Step):
    """Make cells that share a run of an attack.

    Attributes:
        root: the attack at the largest cumulative value asked for; None evaluates the clean images.
        makes: the cells.
    """

    kind: ClassVar[str] = "craft"
    root: AnyAttack | None
    makes: tuple[Cell, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        return self.makes

    @property
    def source(self) -> Target:
        """The model that the attack sees."""
        return self.makes[0].source or self.makes[0].target

    @property
    def threads(self) -> int:
        return self.source.threads

    def work(self, sizes: Sizes) -> list[Work] | None:
        size = sizes.of(self.makes[0].part)
        if size is None:
            return None
        verdicts = verdict_work(self.makes, size.images, VERDICT_DRAWS)
        if self.root is None or isinstance(self.root, UniversalAttack):
            return verdicts
        return [attack_work(self.source, self.root, size.images), *verdicts]

    def seconds(self, history: History) -> float | None:
        axes = [cell.axes() for cell in self.makes]
        found = [history.cells.get((a["dataset"], a["model"], a["attack"])) for a in axes]
        return None if None in found else sum(s for s in found if s is not None)

    def remaining(self, done: Done) -> CraftStep | None:
        makes = tuple(cell for cell in self.makes if cell.id not in done.cells)
        return replace(self, makes=makes) if makes else None

    def describe(self) -> str:
        return self.makes[0].describe()

    def run(self, store: Store, context: RunContext, progress: Progress | None) -> tuple[Outcome, ...]:
        begun = time.perf_counter()
        # Before the weights are loaded: what is replaced meanwhile then counts as made from the old.
        made_from = {cell.id: made_from_of(cell, store) for cell in self.makes}
        crafting, variants = crafting_of(self.makes, self.root)
        stream = AdversarialStream(crafting, store, context, progress)
        recording = Recording(self, stream, variants, store, context)
        recording.collect()
        rows, samples = recording.rows(time.perf_counter() - begun, made_from)
        store.write_step(StepRecord(self.id, rows, samples))
        write_part(self.makes[0].part, store, context)
        return tuple((row["cell"], row["status"], row["reason"]) for row in rows)


@dataclass(frozen=True)
class BatchVerdict:
    """The verdict on one batch of one cell: logits (n, draws, outputs), realised norms (n,), all on the CPU."""

    logits: Tensor
    norms: Norms


@dataclass
class CellRecord:
    """What has been collected of one cell so far, and its status."""

    cell: Cell
    variant: Variant
    module: nn.Module
    status: Status = "ok"
    reason: str = ""
    verdicts: list[BatchVerdict] = field(default_factory=list)
    diagnosis: str | None = None

    @property
    def draws(self) -> int:
        """Verdicts on each image."""
        return VERDICT_DRAWS if self.cell.target.stochastic else 1

    def stop(self, status: Status, reason: str) -> None:
        """Give the cell up; what it has so far is not a result."""
        self.status, self.reason, self.verdicts = status, reason, []

    def samples(self, part: LoadedPart) -> Samples:
        """The cell's samples, in the order of the part."""
        logits = torch.cat([each.logits for each in self.verdicts]).numpy()
        norms: dict[str, Any] = Norms.joined([each.norms for each in self.verdicts]).columns()
        groups = None if part.data.groups is None else np.asarray(part.data.groups)
        more: NDArray[np.float32] | None = logits[:, 1:] if logits.shape[1] > 1 else None
        ids = np.asarray(part.data.ids)
        return Samples(ids, groups, part.data.labels, logits[:, 0], more_logits=more, **norms)


class Recording:
    """Collects the verdicts of the targets on a stream, for the cells that a step makes."""

    def __init__(
        self,
        step: CraftStep,
        stream: AdversarialStream,
        variants: dict[str, Variant],
        store: Store,
        context: RunContext,
    ) -> None:
        self.step = step
        self.stream = stream
        self.context = context
        self.records = [
            CellRecord(cell, variants[cell.id], module_of(cell.target, store, context)) for cell in step.makes
        ]

    @property
    def open(self) -> Sequence[CellRecord]:
        """Cells without a fault so far."""
        return [record for record in self.records if record.status == "ok"]

    def collect(self) -> None:
        """Consume the stream."""
        for found in self.stream.batches(self._verdicts):
            for record, verdict in found:
                if isinstance(verdict, str):
                    record.stop("failed", verdict)
                else:
                    record.verdicts.append(verdict)
            for record in self.open:
                if fault := self.stream.faults.get(record.variant):
                    record.stop(fault.status, fault.reason)
            if not self.open:
                return

    def _verdicts(self, batch: Batch) -> list[tuple[CellRecord, BatchVerdict | str]]:
        """The verdict on each open cell's images of one batch, or what is wrong with the target's logits."""
        if self.step.root is None:
            for record in self.open:
                self._diagnose(record, batch)
        found: list[tuple[CellRecord, BatchVerdict | str]] = []
        for variant, adversarial in batch.adversarial():
            found += [(r, self._verdict(r, adversarial, batch)) for r in self.open if r.variant == variant]
        return found

    def _verdict(self, record: CellRecord, adversarial: Verified, batch: Batch) -> BatchVerdict | str:
        logits = verdict_logits(record.module, adversarial.images, batch.rng, record.draws)
        outputs = len(record.cell.target.info.classes)
        for draw in range(record.draws):
            if fault := logits_fault(logits[:, draw], len(batch.images), outputs):
                return fault
        return BatchVerdict(logits.float().cpu(), adversarial.norms.kept())

    def _diagnose(self, record: CellRecord, batch: Batch) -> None:
        if record.diagnosis is None:
            target, known = record.cell.target, self.stream.part.data.labels
            labels = None if known is None else torch.as_tensor(known)[batch.positions.cpu()]
            found = diagnose(
                record.module, batch.images, target.info.task, declared_random=target.stochastic, labels=labels
            )
            record.diagnosis = json.dumps(found)

    def rows(
        self, seconds: float, made_from: Mapping[str, list[str]]
    ) -> tuple[list[dict[str, Any]], dict[str, Samples]]:
        """The rows of the cells, and the samples of those that are ok."""
        step, stream = self.step, self.stream
        passes = round(stream.backward_passes / max(len(stream.part), 1))
        values = [record.cell.cumulative_value for record in self.records]
        most = max((value for value in values if value), default=0)

        def own(count: int, cell: Cell) -> int:
            """The passes of a run that went further than this cell's value: those up to it."""
            value = cell.cumulative_value
            return round(count * value / most) if value else count

        rows = [
            cell_row(
                record.cell,
                step.id,
                self.context,
                record.status,
                record.reason,
                eps=stream.budget.eps if step.root else None,
                control=step.root is not None and step.root.threat.knowledge == "none",
                iterations=record.cell.cumulative_value or passes,
                made_from=made_from[record.cell.id],
                diagnosis=record.diagnosis,
                images=len(stream.part),
                batch_size=stream.batch_size,
                draws=record.draws,
                seconds=seconds / len(self.records),
                forward_passes=own(stream.forward_passes, record.cell),
                backward_passes=own(stream.backward_passes, record.cell),
                peak_memory=peak_memory(self.context.device),
            )
            for record in self.records
        ]
        return rows, {record.cell.id: record.samples(stream.part) for record in self.open}
