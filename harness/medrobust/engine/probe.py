"""Measuring what a cell's record does not show: the probe's images are crafted again, and what it says is kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import torch
from torch import Tensor

from ..contracts import Budget, Goal, Probe, SampleRNG, UniversalAttack
from ..errors import PluginError
from ..grid.cells import Cell
from ..grid.plan import ProbeStep
from ..results.store import Store
from ..results.verdict import budget_fault, form_fault, norms
from .attack import run_attack
from .classifier import TorchClassifier
from .context import RunContext
from .craft import add_perturbation, goal_for
from .data import LoadedPart, convert
from .loading import budget_of, classifier_of, module_of, part_of
from .training import Progress
from .universal import load_perturbation

BATCH = 32


def run_probe(step: ProbeStep, store: Store, context: RunContext, progress: Progress | None) -> None:
    """Craft the images that a probe selects, as the cell did, and keep what it measures, with their positions.

    Every image has its own stream of draws, so these are the images that the cell was judged by; of a cell with
    `stop = "success"` they are those at full strength.

    Raises:
        PluginError: if the attack breaks its budget, or the probe selects or returns what it may not.
    """
    cell, probe = step.cell, step.probe.plugin
    assert isinstance(probe, Probe)
    source = cell.source or cell.target
    part = part_of(cell.part, source, context, progress)
    positions = np.asarray(probe.select(part.data.labels, len(part)))
    if positions.ndim != 1 or not np.issubdtype(positions.dtype, np.integer) or len(positions) == 0:
        raise PluginError(f"probe '{probe.title}' selects no images: {positions.dtype} {positions.shape}")
    if positions.min() < 0 or positions.max() >= len(part):
        raise PluginError(f"probe '{probe.title}' selects images beyond the {len(part)} there are")
    attacked = classifier_of(module_of(source, store, context), source, part, context)
    budget = budget_of(cell, context, progress)
    images = convert(np.asarray(part.data.images[positions]), part.shape, context.device)
    rng = SampleRNG.for_ids(cell.target.seed, part.data.ids[positions].tolist(), context.device)
    batches = []
    for index in torch.arange(len(images)).split(BATCH):
        labels = None if part.labels is None else part.labels[positions][index]
        goal = goal_for(cell.goal, labels, attacked, images[index], source.info.classes) if cell.goal else None
        batches.append(_adversarial(cell, attacked, images[index], goal, budget, rng[index], store))
        if progress:
            progress(len(batches) * BATCH, len(images), "")
    target = classifier_of(module_of(cell.target, store, context), cell.target, part, context)
    found = probe.measure(target, images, torch.cat(batches))
    _keep(step, found, positions, part, store)


def _adversarial(
    cell: Cell,
    classifier: TorchClassifier,
    images: Tensor,
    goal: Goal | None,
    budget: Budget,
    rng: SampleRNG,
    store: Store,
) -> Tensor:
    if cell.root is None or goal is None:
        return images
    if isinstance(cell.root, UniversalAttack):
        rho = load_perturbation(cell.perturbation_id, store, str(images.device))
        adversarial = add_perturbation(images, rho, budget)
    else:
        ((_, adversarial),) = run_attack(cell.root, {None}, "full", classifier, images.clone(), goal, budget, rng)
    for derived in cell.chain:
        adversarial = derived.derive(images.clone(), adversarial, goal, budget, rng)
    fault = form_fault(adversarial, images) or budget_fault(
        adversarial, images, norms(images, adversarial, budget.norm), budget
    )
    if fault:
        raise PluginError(fault)
    return adversarial.detach()


def _keep(step: ProbeStep, found: object, positions: np.ndarray, part: LoadedPart, store: Store) -> None:
    if not isinstance(found, dict) or not all(len(values) == len(positions) for values in found.values()):
        raise PluginError(
            f"probe '{step.probe.plugin.title}' must return arrays by name, each with one entry for each of the "
            f"{len(positions)} images"
        )
    tensors = {name: torch.as_tensor(np.ascontiguousarray(values)) for name, values in found.items()}
    content = store.save_tensors({**tensors, "positions": torch.as_tensor(positions.astype(np.int64))})
    description = {
        "cell": step.cell.id,
        **step.cell.axes(),
        "probe": step.probe.label,
        "samples": part.data.ids[positions].tolist(),
    }
    row = {
        "artifact": step.id,
        "kind": "probe",
        "content": content,
        "description": json.dumps(description),
        "created": datetime.now(UTC),
    }
    store.write_rows("artifacts", step.id, [row])
