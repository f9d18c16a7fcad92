"""Running one step of a plan in this process."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..contracts import Budget, SampleRNG, UniversalAttack
from ..grid.cells import Cell, Part
from ..grid.plan import CraftStep, DefenseStep, FitStep, Output, ProbeStep, Step, UniversalStep
from ..results.store import Samples, StepRecord, Store
from . import models
from .attack import run_attack
from .classifier import TorchClassifier
from .context import RunContext, hardware, versions
from .craft import (
    CellAccumulator,
    Clock,
    add_perturbation,
    batch_size_for,
    explain,
    goal_for,
    judge,
    out_of_memory,
    peak_memory,
)
from .data import LoadedPart, load_part
from .defend import train_defense
from .diagnose import diagnose
from .loading import budget_of, classifier_of, module_of, part_of
from .probe import run_probe
from .training import Progress
from .universal import fit_universal, load_perturbation


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


def run_step(step: Step, context: RunContext, progress: Progress | None = None) -> Report:
    """Run a step and write what it made; an error becomes part of the report, never of the caller."""
    clock = Clock()
    store = Store(context.store)
    try:
        if isinstance(step, FitStep):
            models.fit(step.target, store, context, progress)
            return Report(step.id, clock.seconds)
        if isinstance(step, DefenseStep):
            part = part_of(step.target.train, step.target, context, progress)
            train_defense(step.target, part, store, context, progress)
            return Report(step.id, clock.seconds)
        if isinstance(step, UniversalStep):
            _perturb(step, store, context, progress)
            return Report(step.id, clock.seconds)
        if isinstance(step, ProbeStep):
            run_probe(step, store, context, progress)
            return Report(step.id, clock.seconds)
        return _Craft(step, store, context, progress, clock).run()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises must not stop the others
        cells = step.outputs if isinstance(step, CraftStep) else ()
        reason = explain(error, step.describe())
        record_failure(store, context, step, reason)
        return Report(step.id, clock.seconds, reason, tuple((o.cell.id, "failed", reason) for o in cells))


def record_failure(store: Store, context: RunContext, step: Step, reason: str) -> None:
    """Write a row with the reason for every cell of a step that failed as a whole."""
    if isinstance(step, CraftStep):
        rows = [cell_row(o.cell, step, context, "failed", reason) for o in step.outputs]
        store.write_step(StepRecord(step.id, rows))


def cell_row(cell: Cell, step: CraftStep, context: RunContext, status: str, reason: str, **more: Any) -> dict[str, Any]:
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
        "slot": cell.slot,
        "weights": list(dict.fromkeys((*cell.target.weights, *(cell.source.weights if cell.source else ())))),
        "perturbation": cell.perturbation_id if isinstance(cell.root, UniversalAttack) else None,
        "step": step.id,
        "identity": json.dumps(cell.fields),
        "versions": json.dumps(versions()),
        "hardware": hardware(context.device),
        "created": datetime.now(UTC),
        **more,
    }


def _perturb(step: UniversalStep, store: Store, context: RunContext, progress: Progress | None) -> None:
    cell = step.cells[0]
    assert cell.craft_on is not None
    part = part_of(cell.craft_on, step.source, context, progress)
    module = module_of(step.source, store, context)
    classifier = classifier_of(module, step.source, part, context)
    fit_universal(step, classifier, part, budget_of(cell, context, progress), store, context.device)


@dataclass
class _Craft:
    step: CraftStep
    store: Store
    context: RunContext
    progress: Progress | None
    clock: Clock
    judged: dict[str, CellAccumulator] = field(default_factory=dict)
    perturbations: dict[int | None, Tensor] = field(default_factory=dict)
    diagnoses: dict[str, str] = field(default_factory=dict)

    def run(self) -> Report:
        step, device = self.step, self.context.device
        source = module_of(step.source, self.store, self.context)
        part = part_of(step.part, step.source, self.context, self.progress)
        classifier = classifier_of(source, step.source, part, self.context)
        budget = budget_of(step.outputs[0].cell, self.context, self.progress)
        for output in step.outputs:
            if isinstance(step.root, UniversalAttack) and output.value not in self.perturbations:
                rho = load_perturbation(output.cell.perturbation_id, self.store, device)
                self.perturbations[output.value] = rho
        rng = SampleRNG.for_ids(step.outputs[0].cell.target.seed, part.data.ids.tolist(), device)
        self.judged = {o.cell.id: CellAccumulator() for o in step.outputs}
        modules = {o.cell.target.id: module_of(o.cell.target, self.store, self.context) for o in step.outputs}
        size = batch_size_for(classifier.activation_bytes, device)
        start = 0
        while start < len(part) and any(j.alive for j in self.judged.values()):
            stop = min(start + size, len(part))
            images = part.tensor(start, stop, device)
            labels = None if part.labels is None else part.labels[start:stop]
            view = rng[torch.arange(start, stop)]
            counts = {cell: len(j.logits) for cell, j in self.judged.items()}
            try:
                if self.step.root is None:
                    self.clean(images, modules)
                else:
                    self.attack(classifier, images, labels, budget, view, modules)
            except (MemoryError, RuntimeError) as error:
                if size == 1 or not out_of_memory(error):
                    raise
                # Half the batch, from the same image on; draws start over, as each image has a stream of its own.
                size = max(1, size // 2)
                rng = SampleRNG.for_ids(step.outputs[0].cell.target.seed, part.data.ids.tolist(), device)
                for cell, judged in self.judged.items():
                    judged.cut(counts[cell])
                continue
            start = stop
            if self.progress:
                self.progress(stop, len(part), "")
        return self.write(part, classifier, budget, size)

    def clean(self, images: Tensor, modules: dict[str, nn.Module]) -> None:
        for output in self.step.outputs:
            target = output.cell.target
            if output.cell.id not in self.diagnoses:
                stochastic = any(p.stochastic for p in (target.model.plugin, target.defense.plugin))  # type: ignore[attr-defined]
                found = diagnose(modules[target.id], images, target.info.task, declared_random=stochastic)
                self.diagnoses[output.cell.id] = json.dumps(found)
            self.judge(output, images, images, Budget("linf", 0.0, box=None), modules)

    def attack(
        self,
        classifier: TorchClassifier,
        images: Tensor,
        labels: Tensor | None,
        budget: Budget,
        rng: SampleRNG,
        modules: dict[str, nn.Module],
    ) -> None:
        step = self.step
        assert step.root is not None
        assert step.goal is not None
        goal = goal_for(step.goal, labels, classifier, images, step.source.info.classes)
        wanted = {o.value for o in step.outputs}
        if isinstance(step.root, UniversalAttack):
            made: Iterable[tuple[int | None, object]] = (
                (value, add_perturbation(images, rho, budget)) for value, rho in self.perturbations.items()
            )
        else:
            made = run_attack(step.root, wanted, step.stop, classifier, images.clone(), goal, budget, rng)
        for value, adversarial in made:
            for output in step.outputs:
                if output.value == value and self.judged[output.cell.id].alive:
                    self.finish(output, adversarial, images, goal, budget, rng, modules)

    def finish(
        self,
        output: Output,
        adversarial: Any,
        images: Tensor,
        goal: Any,
        budget: Budget,
        rng: SampleRNG,
        modules: dict[str, nn.Module],
    ) -> None:
        try:
            for derived in output.cell.chain:
                adversarial = derived.derive(images.clone(), adversarial, goal, budget, rng)
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
                    self.context,
                    judged.status,
                    judged.reason,
                    eps=budget.eps if step.root else None,
                    control=step.root is not None and step.root.threat.knowledge == "none",
                    white_box=step.source.id == output.cell.target.id,
                    iterations=output.value or round(classifier.backward_passes / max(len(part), 1)),
                    diagnosis=self.diagnoses.get(output.cell.id),
                    images=len(part),
                    batch_size=batch_size,
                    seconds=share,
                    forward_passes=classifier.forward_passes,
                    backward_passes=classifier.backward_passes,
                    peak_memory=peak_memory(self.context.device),
                )
            )
            if judged.alive:
                logits, l2, linf = judged.arrays()
                data = part.data
                groups = None if data.groups is None else np.asarray(data.groups)
                samples[output.cell.id] = Samples(np.asarray(data.ids), groups, data.labels, logits, l2, linf)
        self.store.write_step(StepRecord(step.id, rows, samples))
        self.write_part(step.part)
        cells = tuple((o.cell.id, self.judged[o.cell.id].status, self.judged[o.cell.id].reason) for o in step.outputs)
        return Report(step.id, self.clock.seconds, cells=cells)

    def write_part(self, part: Part) -> None:
        """What a slice holds, per class; once."""
        if (self.store.path / "parts" / f"{part.id}.parquet").exists():
            return
        loaded = load_part(part, self.context)
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
