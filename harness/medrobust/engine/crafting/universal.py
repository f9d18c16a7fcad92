"""Fitting universal perturbations, keeping them as artifacts, and adding them to images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import torch
from torch import Tensor

from ...contracts import AnyAttack, Budget, IterativeUniversalAttack, SampleRNG, UniversalAttack, cumulative_field
from ...errors import PluginError
from ...grid.blocks import GoalSpec
from ...grid.cells import Cell
from ...results.store import Store
from ...results.verdict import InvalidImagesError, Verified, form_fault, verify
from ..data import LoadedPart
from ..models.classifier import TorchClassifier
from ..numerics import global_seed
from .batches import batch_size_for
from .goals import goal_of_many
from .images import PartImages, crafting_order


def fit_universal(
    attack: AnyAttack,
    cells: Sequence[Cell],
    classifier: TorchClassifier,
    part: LoadedPart,
    budget: Budget,
    store: Store,
    device: str,
    made_from: Sequence[str] = (),
) -> None:
    """Fit a perturbation and keep it at every cumulative value that a cell wants.

    The crafting images come in the order of `crafting_order` and are read from disk as the attack takes them.

    Args:
        made_from: the column of that name: the weights behind the classifier.

    Raises:
        PluginError: if what the attack returns is no perturbation within the budget.
    """
    assert isinstance(attack, UniversalAttack)
    cell = cells[0]
    assert cell.goal is not None
    assert cell.source is not None
    seed = cell.target.seed
    order = crafting_order(seed, part.data.ids)
    images = PartImages(part, device, order)
    # A perturbation belongs to no image's label: predictions stand in where labels are absent or of other classes.
    own = cell.craft_on is not None and part.info.classes == cell.source.info.classes
    labels = part.labels[torch.from_numpy(order)] if own and part.labels is not None else None
    spec = cell.goal if labels is not None or cell.goal.targeted else GoalSpec("predicted")
    rng = SampleRNG.for_ids(seed, part.data.ids[order].tolist(), device)
    classifier.begin(rng)
    with global_seed(rng.restarted().seed()):
        like = torch.zeros(images.shape[1:], device=device)
        size = batch_size_for(max(classifier.activation_bytes, like.nbytes), device)
        goal = goal_of_many(spec, labels, classifier, images, cell.source.info.classes, size)
        field = cumulative_field(attack)
        wanted = {getattr(c.root, field) if field else None: c for c in cells}
        if field is None or not isinstance(attack, IterativeUniversalAttack):
            found = verified_perturbation(attack.fit(classifier, images, goal, budget, rng), like, budget)
            for each in wanted.values():
                _keep(each, found, budget, store, made_from)
            return
        for number, perturbation in enumerate(attack.iterates(classifier, images, goal, budget, rng), 1):
            if number in wanted:
                found = verified_perturbation(perturbation, like, budget)
                _keep(wanted.pop(number), found, budget, store, made_from)
    if wanted:
        raise PluginError(f"attack '{attack.title}' ended before iteration {max(w for w in wanted if w)}")


def verified_perturbation(perturbation: object, like: Tensor, budget: Budget) -> Verified:
    """A perturbation (c, h, w) as a batch of one, within the budget; where it leaves the box, images are clipped.

    Raises:
        InvalidImagesError: if it is none.
    """
    if fault := form_fault(perturbation, like):
        raise InvalidImagesError(fault)
    assert isinstance(perturbation, Tensor)
    free = replace(budget, box=None, slack=0.0)
    return verify(perturbation[None], torch.zeros_like(like)[None], free, "perturbation")


def _keep(cell: Cell, perturbation: Verified, budget: Budget, store: Store, made_from: Sequence[str]) -> None:
    content = store.save_tensors({"perturbation": perturbation.images[0]})
    size = float(perturbation.norms.of("l2" if budget.norm == "unbounded" else budget.norm)[0])
    description = {**cell.axes(), "norm": budget.norm, "eps": budget.eps, "size": size}
    row = {
        "artifact": cell.perturbation_id,
        "kind": "perturbation",
        "content": content,
        "made_from": list(made_from),
        "description": json.dumps(description),
        "created": datetime.now(UTC),
    }
    store.write_rows("artifacts", cell.perturbation_id, [row])


def add_perturbation(images: Tensor, perturbation: Tensor, budget: Budget) -> Tensor:
    """Images with a universal perturbation added, clipped to the box if there is one."""
    adversarial = images + perturbation
    return adversarial if budget.box is None else adversarial.clamp_(*budget.box)


def load_perturbation(identity: str, store: Store, device: str) -> Tensor:
    """A perturbation (c, h, w), pixels in [0, 1].

    Raises:
        LostError: if it is not there, or damaged.
    """
    content = store.artifact(identity)
    return store.load_tensors(content)["perturbation"].to(device)
