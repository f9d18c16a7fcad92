"""Running one step of a plan in this process."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..contracts import Budget, Draws
from ..grid.cells import Cell, Part, Target
from ..grid.plan import CraftStep, FitStep, Output, Step
from ..results.store import Samples, StepRecord, Store
from . import models
from .classifier import TorchClassifier
from .craft import (
    Clock,
    Judged,
    batch_size_for,
    explain,
    goal_for,
    iterates,
    judge,
    peak_memory,
    resolve_budget,
)
from .data import LoadedPart, load_part, mean_norm
from .recent import Recent
from .training import Progress
from .workspace import Workspace, hardware, versions


@dataclass(frozen=True)
class Report:
    """How a step ended.

    Attributes:
        step: its identity.
        seconds: how long it took.
        error: why the whole step failed, or empty.
        cells: (identity, status, reason) of the cells it made.
    """

    step: str
    seconds: float
    error: str = ""
    cells: tuple[tuple[str, str, str], ...] = ()


def run_step(step: Step, workspace: Workspace, progress: Progress | None = None) -> Report:
    """Run a step and write what it made; an error becomes part of the report, never of the caller."""
    clock = Clock()
    store = Store(workspace.store)
    try:
        if isinstance(step, FitStep):
            models.fit(step.target, store, workspace, progress)
            return Report(step.id, clock.seconds)
        return _Craft(step, store, workspace, progress, clock).run()
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises must not stop the other cells
        cells = step.outputs if isinstance(step, CraftStep) else ()
        reason = explain(error, step.describe())
        record_failure(store, workspace, step, reason)
        return Report(step.id, clock.seconds, reason, tuple((o.cell.id, "failed", reason) for o in cells))


def record_failure(store: Store, workspace: Workspace, step: Step, reason: str) -> None:
    """Write a row with the reason for every cell of a step that failed as a whole."""
    if isinstance(step, CraftStep):
        rows = [cell_row(o.cell, step, workspace, "failed", reason) for o in step.outputs]
        store.write_step(StepRecord(step.id, rows))


def cell_row(
    cell: Cell, step: CraftStep, workspace: Workspace, status: str, reason: str, **more: Any
) -> dict[str, Any]:
    """The row of a cell in the table `cells`."""
    info = cell.target.info
    target_class = info.classes.index(cell.goal.target) if cell.goal and cell.goal.targeted else None
    return {
        "cell": cell.id,
        **cell.axes(),
        "status": status,
        "reason": reason,
        "task": info.task,
        "classes": list(info.classes),
        "clean": cell.clean.id,
        "target": cell.target.id,
        "target_class": target_class,
        "norm": cell.budget.norm if cell.budget else None,
        "stop": cell.stop,
        "part": cell.part.id,
        "step": step.id,
        "identity": json.dumps(cell.fields),
        "versions": json.dumps(versions()),
        "hardware": hardware(workspace.device),
        "created": datetime.now(UTC),
        **more,
    }


_modules: Recent[nn.Module] = Recent(8)
"""Loaded modules of this process."""
_classifiers: Recent[TorchClassifier] = Recent(4)
"""Prepared classifiers of this process."""


@dataclass
class _Craft:
    step: CraftStep
    store: Store
    workspace: Workspace
    progress: Progress | None
    clock: Clock
    judged: dict[str, Judged] = field(default_factory=dict)

    def run(self) -> Report:
        step, device = self.step, self.workspace.device
        source = self.load(step.source)
        part = self.part(step.part, step.source)
        classifier = self.classifier(source, step.source, part)
        budget = self.budget()
        random = Draws.for_ids(step.outputs[0].cell.target.seed, part.data.ids.tolist(), device)
        self.judged = {o.cell.id: Judged() for o in step.outputs}
        modules = {o.cell.target.id: self.load(o.cell.target) for o in step.outputs}
        size = batch_size_for(part)
        for start in range(0, len(part), size):
            stop = min(start + size, len(part))
            images = part.tensor(start, stop, device)
            labels = None if part.labels is None else part.labels[start:stop]
            view = random[torch.arange(start, stop)]
            if self.step.root is None:
                self.clean(images, modules)
            else:
                self.attack(classifier, images, labels, budget, view, modules)
            if not any(j.alive for j in self.judged.values()):
                break
            if self.progress:
                self.progress(stop, len(part), "")
        return self.write(part, classifier, budget, size)

    def classifier(self, module: nn.Module, source: Target, part: LoadedPart) -> TorchClassifier:
        """The classifier that attacks see, prepared once for each model and process."""
        workspace = self.workspace
        info = source.info

        def make() -> TorchClassifier:
            sample = part.tensor(0, min(len(part), 8), workspace.device)
            return TorchClassifier(module, info.task, len(info.classes), workspace.acceleration, sample)

        classifier = _classifiers.get((workspace.store, source.id, workspace.device, workspace.acceleration), make)
        classifier.forward_passes = classifier.backward_passes = 0
        return classifier

    def load(self, target: Target) -> nn.Module:
        key = (self.workspace.store, target.id, self.workspace.device)
        return _modules.get(key, lambda: models.load(target, self.store, self.workspace))

    def part(self, part: Part, target: Target) -> LoadedPart:
        shape = models.input_shape(target)

        def decoding(done: int, total: int) -> None:
            if self.progress:
                self.progress(done, total, "decoding")

        return load_part(part, self.workspace, (shape.channels, shape.height, shape.width), decoding)

    def budget(self) -> Budget:
        step = self.step
        if step.budget is None:
            return Budget("linf", 0.0)
        target = step.outputs[0].cell.target
        norm = step.budget.norm
        return resolve_budget(step.budget, lambda: mean_norm(self.part(target.train, target), norm))

    def clean(self, images: Tensor, modules: dict[str, nn.Module]) -> None:
        for output in self.step.outputs:
            self.judge(output, images, images, Budget("linf", 0.0, box=None), modules)

    def attack(
        self,
        classifier: TorchClassifier,
        images: Tensor,
        labels: Tensor | None,
        budget: Budget,
        random: Draws,
        modules: dict[str, nn.Module],
    ) -> None:
        step = self.step
        assert step.root is not None
        assert step.goal is not None
        goal = goal_for(step.goal, labels, classifier, images, step.source.info.classes)
        wanted = {o.value for o in step.outputs}
        for value, adversarial in iterates(step.root, wanted, classifier, images.clone(), goal, budget, random):
            for output in step.outputs:
                if output.value == value and self.judged[output.cell.id].alive:
                    self.finish(output, adversarial, images, goal, budget, random, modules)

    def finish(
        self,
        output: Output,
        adversarial: Any,
        images: Tensor,
        goal: Any,
        budget: Budget,
        random: Draws,
        modules: dict[str, nn.Module],
    ) -> None:
        try:
            for derived in output.chain:
                adversarial = derived.derive(images, adversarial, goal, budget, random)
        except Exception as error:  # noqa: BLE001 - one derived attack must not take the others with it
            self.judged[output.cell.id].stop("failed", explain(error, f"attack '{derived.title}'"))
            return
        self.judge(output, adversarial, images, budget, modules)

    def judge(
        self, output: Output, adversarial: object, images: Tensor, budget: Budget, modules: dict[str, nn.Module]
    ) -> None:
        module = modules[output.cell.target.id]

        def predict(batch: Tensor) -> Tensor:
            with torch.no_grad():
                logits: Tensor = module(batch)
            return logits

        outputs = len(output.cell.target.info.classes)
        judge(self.judged[output.cell.id], adversarial, images, budget, predict, outputs)

    def write(self, part: LoadedPart, classifier: TorchClassifier, budget: Budget, batch_size: int) -> Report:
        step = self.step
        share = self.clock.seconds / len(step.outputs)
        rows, samples = [], {}
        for output in step.outputs:
            judged = self.judged[output.cell.id]
            rows.append(
                cell_row(
                    output.cell,
                    step,
                    self.workspace,
                    judged.status,
                    judged.reason,
                    eps=budget.eps if step.root else None,
                    images=len(part),
                    batch_size=batch_size,
                    seconds=share,
                    forward_passes=classifier.forward_passes,
                    backward_passes=classifier.backward_passes,
                    peak_memory=peak_memory(self.workspace.device),
                )
            )
            if judged.alive:
                logits, l2, linf = judged.arrays()
                data = part.data
                groups = None if data.groups is None else np.asarray(data.groups)
                samples[output.cell.id] = Samples(np.asarray(data.ids), groups, data.labels, logits, l2, linf)
        self.store.write_step(StepRecord(step.id, rows, samples))
        self.write_part(step.part, part)
        cells = tuple((o.cell.id, self.judged[o.cell.id].status, self.judged[o.cell.id].reason) for o in step.outputs)
        return Report(step.id, self.clock.seconds, cells=cells)

    def write_part(self, part: Part, loaded: LoadedPart) -> None:
        """What a slice holds, per class; once."""
        if (self.store.path / "parts" / f"{part.id}.parquet").exists():
            return
        data, info = loaded.data, loaded.info
        rows = []
        for index, name in enumerate(info.classes):
            if data.labels is None:
                break
            mask = data.labels == index if data.labels.ndim == 1 else data.labels[:, index] == 1
            groups = None if data.groups is None else len(np.unique(data.groups[mask]))
            rows.append({"class": name, "images": int(mask.sum()), "groups": groups})
        rows = rows or [{"class": "", "images": len(data), "groups": None}]
        common = {
            "part": part.id,
            "dataset": part.dataset.name,
            "fingerprint": loaded.fingerprint,
            "slice": str(part.slice),
        }
        self.store.write_rows("parts", part.id, [{**common, **row} for row in rows])
