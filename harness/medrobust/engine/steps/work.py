"""What steps ask of models, in images that pass through them."""

from __future__ import annotations

from dataclasses import dataclass

from ...contracts import AnyAttack, Model, Passes
from ...grid.builder import selection_part
from ...grid.cells import Cell
from ...grid.targets import Target
from ..sizes import Sizes


@dataclass(frozen=True)
class Work:
    """What a step asks of one model.

    Attributes:
        target: the model.
        passes: how many images pass through it.
    """

    target: Target
    passes: Passes


def training_work(target: Target, sizes: Sizes) -> list[Work] | None:
    """A training by the model's recipe; None where the number of images is not known."""
    assert isinstance(target.model.plugin, Model)
    recipe = target.model.plugin.recipe
    size, chosen_on = sizes.of(target.train), selection_part(target)
    looked_at = sizes.of(chosen_on) if chosen_on is not None else None
    if size is None or (chosen_on is not None and looked_at is None):
        return None
    forward = looked_at.images * recipe.epochs if looked_at is not None else 0
    return [Work(target, Passes(forward=forward, training=size.epoch(recipe) * recipe.epochs))]


def attack_work(source: Target, root: AnyAttack, images: int) -> Work:
    """An attack on so many images, and the passes by which its goal and its success are known."""
    return Work(source, root.cost(images, len(source.info.classes)) + Passes(forward=images))


def verdict_work(cells: tuple[Cell, ...], images: int, draws: int) -> list[Work]:
    """The verdicts on the images of cells."""
    return [
        Work(cell.target, Passes(forward=float(images) * (draws if cell.target.stochastic else 1))) for cell in cells
    ]
