"""Fitting universal perturbations and keeping them as artifacts."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import torch
from torch import Tensor

from ..contracts import Budget, IterativeUniversalAttack, SampleRNG, UniversalAttack, cumulative_field
from ..errors import PluginError
from ..grid.blocks import GoalSpec
from ..grid.cells import Cell
from ..grid.plan import UniversalStep
from ..results.store import Store
from ..results.verdict import TOLERANCE, form_fault
from .classifier import TorchClassifier
from .craft import goal_for
from .data import LoadedPart


def fit_universal(
    step: UniversalStep, classifier: TorchClassifier, part: LoadedPart, budget: Budget, store: Store, device: str
) -> None:
    """Fit the perturbation of a step and keep it at every cumulative value that a cell wants.

    Raises:
        PluginError: if what the attack returns is no perturbation within the budget.
    """
    attack = step.root
    assert isinstance(attack, UniversalAttack)
    cell = step.cells[0]
    assert cell.goal is not None
    images = part.tensor(0, len(part), device)
    # A perturbation belongs to no image's label: predictions stand in where labels are absent or of other classes.
    labels = part.labels if cell.craft_on is not None and part.info.classes == step.source.info.classes else None
    spec = cell.goal if labels is not None or cell.goal.targeted else GoalSpec("predicted")
    goal = goal_for(spec, labels, classifier, images, step.source.info.classes)
    rng = SampleRNG.for_ids(cell.target.seed, part.data.ids.tolist(), device)
    field = cumulative_field(attack)
    wanted = {getattr(c.root, field) if field else None: c for c in step.cells}
    if field is None or not isinstance(attack, IterativeUniversalAttack):
        perturbation = attack.fit(classifier, images, goal, budget, rng)
        for each in wanted.values():
            _keep(each, perturbation, images[0], budget, store)
        return
    for number, perturbation in enumerate(attack.iterates(classifier, images, goal, budget, rng), 1):
        if number in wanted:
            _keep(wanted.pop(number), perturbation, images[0], budget, store)
    if wanted:
        raise PluginError(f"attack '{attack.title}' ended before iteration {max(w for w in wanted if w)}")


def _keep(cell: Cell, perturbation: object, like: Tensor, budget: Budget, store: Store) -> None:
    if fault := form_fault(perturbation, like):
        raise PluginError(fault)
    assert isinstance(perturbation, Tensor)
    assert cell.attack is not None
    order = {"linf": float("inf"), "l2": 2.0, "l1": 1.0, "l0": 0.0}[budget.norm]
    norm = float(torch.linalg.vector_norm(perturbation.double().flatten(), ord=order))
    if budget.eps is not None and norm > budget.eps * (1 + 1e-5) + TOLERANCE:
        raise PluginError(f"the perturbation leaves the budget: {budget.norm} {norm:.6g}, allowed {budget.eps:.6g}")
    content = store.save_tensors({"perturbation": perturbation})
    description = {**cell.axes(), "norm": budget.norm, "eps": budget.eps, "size": norm}
    row = {
        "artifact": cell.perturbation_id,
        "kind": "perturbation",
        "content": content,
        "description": json.dumps(description),
        "created": datetime.now(UTC),
    }
    store.write_rows("artifacts", cell.perturbation_id, [row])


def load_perturbation(identity: str, store: Store, device: str) -> Tensor:
    """A perturbation (c, h, w), pixels in [0, 1].

    Raises:
        StoreError: if it is missing or damaged.
    """
    content = store.artifact(identity)
    return store.load_tensors(content)["perturbation"].to(device)
