"""The model, images and budgets that adapted attacks are tried on."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from ...contracts import AnyAttack, BudgetSpec, DataInfo, Goal, SampleRNG, Targeted, Untargeted, predictions
from ...errors import MedrobustError
from ...grid.blocks import GoalSpec
from ...grid.gate import AttackGate
from ...plugins.specs import Spec
from ..models.classifier import TorchClassifier
from ..models.loading import module_of, part_of
from ..session import Session

BUDGETS: Final[Mapping[str, str]] = {
    "linf": "linf:2/255",
    "l2": "l2:0.5",
    "l1": "l1:10",
    "l0": "l0:20",
    "unbounded": "unbounded",
}
"""Radii at which attacks differ; an attack is tried with the first of them whose norm it supports."""


@dataclass(frozen=True)
class Reference:
    """A trained model and images that it classifies correctly.

    Attributes:
        module: the network.
        info: the data set.
        images: float32 (n, c, h, w) in [0, 1].
        labels: their classes (n,).
        ids: their sample ids.
        clean: accuracy on all images of the part.
        label: model and data set, for people.
    """

    module: nn.Module = field(repr=False)
    info: DataInfo
    images: Tensor = field(repr=False)
    labels: Tensor = field(repr=False)
    ids: tuple[str, ...] = field(repr=False)
    clean: float
    label: str

    @classmethod
    def of(cls, session: Session, grid: Mapping[str, Any], images: int) -> Reference:
        """Train the model of a grid with one cell and take the first images of the part that it classifies correctly.

        Raises:
            MedrobustError: if the model or its data cannot be had, or too few images are classified correctly.
        """
        plan = session.plan(grid)
        report = session.run(plan)
        if report.problems or not plan.cells:
            raise MedrobustError(f"the reference model cannot be had: {report.problems or report.impossible}")
        (cell,) = plan.cells.values()
        part = part_of(cell.part, cell.target, session.context, None)
        module = module_of(cell.target, session.store, session.context)
        if part.labels is None or part.labels.ndim != 1:
            raise MedrobustError("the reference images need one label each")
        everything, labels = part.tensor(slice(0, len(part)), session.device), torch.as_tensor(part.labels)
        with torch.no_grad():
            right = predictions(module(everything)).cpu() == labels.cpu()
        chosen = torch.nonzero(right).flatten()[:images]
        if len(chosen) < images:
            raise MedrobustError(f"the reference model classifies {len(chosen)} images correctly; {images} are needed")
        return cls(
            module,
            cell.target.info,
            everything[chosen],
            labels[chosen].to(everything.device),
            tuple(np.asarray(part.data.ids)[chosen.numpy()].tolist()),
            float(right.float().mean()),
            f"{cell.target.model.label} on {cell.target.train.dataset.label}",
        )

    def classifier(self) -> TorchClassifier:
        """A fresh classifier, which has counted nothing yet."""
        return TorchClassifier(copy.deepcopy(self.module), self.info.task, len(self.info.classes))

    def rng(self) -> SampleRNG:
        """The streams of the images."""
        return SampleRNG.for_ids(0, list(self.ids), self.images.device)

    def budget(self, attack: AnyAttack, norms: Mapping[str, str] = BUDGETS) -> BudgetSpec:
        """The budget that an attack is tried with."""
        return BudgetSpec.parse(next(text for norm, text in norms.items() if norm in attack.threat.norms))

    def goal(self, attack: AnyAttack) -> Goal:
        """Untargeted where there is such a form; else towards the class of the next image that is of another one."""
        if "untargeted" in attack.threat.goals:
            return Untargeted(self.labels)
        later = [torch.roll(self.labels, -step) for step in range(1, len(self.labels))]
        target = (self.labels + 1) % max(len(self.info.classes), 2)
        for labels in reversed(later):
            target = torch.where(labels != self.labels, labels, target)
        return Targeted(target)

    def bars(self, spec: Spec, budget: BudgetSpec) -> str:
        """Why a grid would leave an attack out here; empty if it would not."""
        attack = spec.plugin
        assert isinstance(attack, AnyAttack)
        targeted = "untargeted" not in attack.threat.goals
        goal = GoalSpec.parse(f"target:{self.info.classes[0]}" if targeted else "untargeted")
        return AttackGate(spec).bars(goal, budget, self.info)
