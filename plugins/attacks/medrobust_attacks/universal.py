"""Universal adversarial perturbations (UAPs) built from sign steps on single images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Literal

import torch
from torch import Tensor

from medrobust import (
    Budget,
    Classifier,
    Count,
    DataError,
    Goal,
    IterativeUniversalAttack,
    Length,
    Reference,
    SampleRNG,
    Share,
    ThreatModel,
    UniversalAttack,
    Whole,
    cumulative,
)

from .geometry import NORMS, radius
from .references import HIRANO, MOOSAVI, TARGETED_UAP
from .universal_crafting import Crafting, GradientFrom, common, image_orders, own_goal, shrink
from .universal_passes import BatchedPasses, SequentialPasses


def craft(
    crafting: Crafting, perturbation: Tensor, orders: Iterator[Tensor], *, delta: float, batch: int | None
) -> Tensor:
    """The perturbation after passes over the crafting images.

    Args:
        crafting: images, goal and budget.
        perturbation: where to begin (c, h, w).
        orders: the order of the images in each pass; their number bounds the passes.
        delta: stop once at least a share of 1 - delta of the images reaches the goal.
        batch: images a batch; None for the papers' algorithm, one image at a time.
    """
    passes = SequentialPasses(crafting) if batch is None else BatchedPasses(crafting, batch)
    for order in orders:
        after = passes.run(perturbation, order)
        # A pass that changes nothing is repeated by all that follow it.
        if after is perturbation or passes.done(after, delta):
            return after
        perturbation = after
    return perturbation


@dataclass(frozen=True)
class UAP(IterativeUniversalAttack):
    """Universal adversarial perturbation from FGSM steps on images that it does not yet fool.

    Moosavi-Dezfooli et al., "Universal adversarial perturbations", CVPR 2017, with one FGSM step in place of DeepFool
    as in hirano2021; targeted as in Hirano, Takemoto, "Simple iterative method for generating targeted universal
    adversarial perturbations", 2020. Untargeted, it moves images away from the model's own predictions, not from the
    true labels. A step is accepted if it changes the prediction of its image (targeted: to the target); accepted
    steps add up and are projected on the ball. A perturbation that stays zero is a result: no step was accepted. Where
    the budget has a box, the model sees images clipped to it; the papers have none (`box=none`).

    `order = "sequential"` is the papers' algorithm. `order = "batched"` is this project's own: it takes the accepted
    steps of a batch at once and passes over images that are far from a new decision.

    Attributes:
        chunks: parts of the crafting images that are taken in order, the perturbation carried over (cumulative); 1 or
            more, 100 in minagi2022.
        chunk_size: images per chunk, 1,000 in minagi2022; 0 for all crafting images in one chunk.
        passes: passes over each chunk, in a fresh random order each; 15 in hirano2021, 1 in minagi2022.
        step_size: length of the FGSM step per pixel, for every norm of the budget.
        delta: passes end when a share of 1 - delta of the chunk is fooled (targeted: predicted as the target).
        order: `batched` or `sequential`.
        batch: images per batch, with `order = "batched"`.
        grad_from: `logits`, or `probs_clipped` for a loss of probabilities clipped at 1e-7, as hirano2021's released
            code had it: saturated images then have no gradient.
    """

    name: ClassVar[str] = "uap"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (MOOSAVI, TARGETED_UAP, HIRANO)
    threat: ClassVar[ThreatModel] = ThreatModel(norms=NORMS)
    chunks: Count = cumulative(1)
    chunk_size: Whole = 0
    passes: Count = 15
    step_size: Length = Length.parse("0.0024@/128")
    delta: Share = 1e-6
    order: Literal["sequential", "batched"] = "batched"
    batch: Count = 32
    grad_from: GradientFrom = "logits"

    def __post_init__(self) -> None:
        if self.chunks > 1 and not self.chunk_size:
            raise ValueError(f"chunks = {self.chunks} needs chunk_size, the images per chunk (1000 in minagi2022)")

    def iterates(
        self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG
    ) -> Iterator[Tensor]:
        size = self.chunk_size or len(images)
        if self.chunks * size > len(images):
            raise DataError(
                f"uap: {self.chunks} chunks of {size} images need {self.chunks * size} crafting images, craft_on has "
                f"{len(images)}; lower chunks or chunk_size, or craft on a larger set"
            )
        perturbation: Tensor | None = None
        for start in range(0, self.chunks * size, size):
            part = images[start : start + size]
            chunk = type(goal)(goal.labels[start : start + size])
            crafting = Crafting(
                classifier,
                part,
                own_goal(classifier, part, chunk),
                budget,
                self.step_size.resolve(eps=radius(budget)),
                self.grad_from,
            )
            perturbation = craft(
                crafting,
                crafting.zero() if perturbation is None else perturbation,
                islice(image_orders(rng, len(part), part.device), self.passes),
                delta=self.delta,
                batch=None if self.order == "sequential" else self.batch,
            )
            yield perturbation


@dataclass(frozen=True)
class RandomUAP(UniversalAttack):
    """A random perturbation of all images: the control of a UAP (hirano2021, Methods).

    For l2, a point drawn uniformly from the sphere of radius eps; for linf, each pixel drawn uniformly from
    [-eps, eps], as in ART, which hirano2021 used. One draw, determined by the seed.
    """

    name: ClassVar[str] = "random-uap"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (HIRANO,)
    threat: ClassVar[ThreatModel] = ThreatModel(norms=NORMS, knowledge="none")

    def fit(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        eps, shape, stream = radius(budget), images.shape[1:], common(rng)
        if budget.norm == "linf":
            return shrink(stream.uniform(shape, -eps, eps)[0].to(images), budget)
        point = stream.normal(shape)[0].to(images)
        return point.mul_(eps / torch.linalg.vector_norm(point))
