"""What steps work with, loaded or made once for each process: images, modules, prepared classifiers, budgets."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
from torch import nn

from ...contracts import Arithmetic, Budget, Precision
from ...grid.cells import Cell
from ...grid.parts import Part
from ...grid.targets import Target
from ...lru import Kept
from ...results.store import Store
from ..context import RunContext
from ..data import LoadedPart, groups_elsewhere, load_part, mean_norm
from . import weights as models
from .classifier import TorchClassifier
from .training import Progress


def part_of(part: Part, target: Target, context: RunContext, progress: Progress | None) -> LoadedPart:
    """The images of a part at the size and colour of a target's model, with labels where they are of its classes."""
    shape = models.input_shape(target)

    def decoding(done: int, total: int) -> None:
        if progress:
            progress(done, total, "decoding")

    loaded = load_part(part, context, (shape.channels, shape.height, shape.width), decoding)
    if (loaded.info.classes, loaded.info.task) == (target.info.classes, target.info.task):
        return loaded
    # Labels of other classes, such as those of natural images, say nothing of this model's decisions.
    return replace(loaded, data=replace(loaded.data, labels=None))


def module_of(target: Target, store: Store, context: RunContext) -> nn.Module:
    """The module of a target with its weights; shared, so not to be changed."""
    # By content as well: weights that were lost may be others when they are made again.
    key = (context.store, target.id, store.weights_of(target.weights_id()), context.device)
    return _modules.get(key, lambda: models.load(target, store, context))


def classifiers_of(
    module: nn.Module, source: Target, precision: Precision, part: LoadedPart, context: RunContext
) -> tuple[TorchClassifier, ...]:
    """The classifiers that attacks see, one for each arithmetic of the precision; prepared once for each process."""
    each: tuple[Arithmetic, ...] = ("bfloat16", "float32") if precision == "mixed" else (precision,)
    return tuple(_classifier_of(module, source, arithmetic, part, context) for arithmetic in each)


def _classifier_of(
    module: nn.Module, source: Target, arithmetic: Arithmetic, part: LoadedPart, context: RunContext
) -> TorchClassifier:
    info = source.info

    def make() -> TorchClassifier:
        return TorchClassifier(
            # A copy: whatever an attack does to the module it is handed, the one that judges it stays as it is.
            copy.deepcopy(module),
            info.task,
            len(info.classes),
            context.acceleration,
            part.sample(context.device),
            arithmetic,
            stochastic=source.stochastic,
        )

    key = (module, source.id, context.acceleration, arithmetic)
    classifier = _classifiers.get(key, make)
    classifier.forward_passes = classifier.backward_passes = 0
    return classifier


def budget_of(cell: Cell, context: RunContext, progress: Progress | None) -> Budget:
    """The budget of a cell in pixel units; zeta refers to the target's training images."""
    if cell.budget is None:
        return Budget("linf", 0.0)
    if not cell.budget.needs_training_set:
        return cell.budget.resolve()
    norm = cell.budget.norm
    key = (cell.target.train.id, models.input_shape(cell.target), norm)
    mean = _mean_norms.get(key, lambda: mean_norm(part_of(cell.target.train, cell.target, context, progress), norm))
    return cell.budget.resolve(mean)


def write_part(part: Part, store: Store, context: RunContext) -> None:
    """Record what a slice holds, for each class; once."""
    if store.has_part(part.id):
        return
    loaded = load_part(part, context)
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
        "shared_groups": groups_elsewhere(part, loaded, context),
    }
    store.write_rows("parts", part.id, [{**common, **row} for row in rows])


_mean_norms: Kept[float] = Kept(64)
"""Mean norms of training images, which every budget with zeta asks for."""
_modules: Kept[nn.Module] = Kept(8)
"""Loaded modules of this process."""
_classifiers: Kept[TorchClassifier] = Kept(4)
"""Prepared classifiers of this process."""
