"""Attacks made of the adversarial images of others: controls that keep only their values, rounding, and clipping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from torch import Tensor

from medrobust import AnyAttack, Budget, DerivedAttack, Goal, Norm, Reference, SampleRNG, ThreatModel

from .references import WETSTEIN

_ANY = ThreatModel(norms=frozenset(get_args(Norm)), minimal=True)
_BATCH = 32
"""Images of a batch, where an image depends on the others of its batch."""


@dataclass(frozen=True)
class Shuffled(DerivedAttack):
    """The adversarial perturbation with its values shuffled within each image, over pixels and channels.

    A control: the same values and norms without the structure (wetstein2020, section 2.1). If the budget has a box, the
    image is clipped to it, which can only shorten the perturbation.

    Attributes:
        of: the attack whose perturbation is shuffled.
    """

    name: ClassVar[str] = "shuffled"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (WETSTEIN,)
    threat: ClassVar[ThreatModel] = _ANY
    of: AnyAttack

    def derive(self, images: Tensor, adversarial: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        perturbation = (adversarial - images).flatten(1)
        order = rng.uniform((perturbation.shape[1],)).argsort(dim=1, stable=True).to(images.device)
        moved = perturbation.gather(1, order).view_as(images).add_(images)
        return moved if budget.box is None else moved.clamp_(*budget.box)


@dataclass(frozen=True)
class BatchShuffled(DerivedAttack):
    """The adversarial perturbations with their values shuffled over all images, pixels and channels of a batch.

    The control of wetstein2020's released code for chest X-rays; `shuffled`, which keeps the values of each image, is
    the one that its text describes. For linf alone: the values of one image may come from images of longer ones.

    Attributes:
        of: the attack whose perturbations are shuffled.
    """

    name: ClassVar[str] = "batch-shuffled"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (WETSTEIN,)
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
    batch_size: ClassVar[int | None] = _BATCH
    of: AnyAttack

    def derive(self, images: Tensor, adversarial: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        perturbation = (adversarial - images).flatten()
        order = rng.uniform(images.shape[1:]).flatten().argsort(stable=True).to(images.device)
        moved = perturbation[order].view_as(images).add_(images)
        return moved if budget.box is None else moved.clamp_(*budget.box)


@dataclass(frozen=True)
class BatchClipped(DerivedAttack):
    """Adversarial images clipped to the range of the clean images of their batch.

    What wetstein2020's released code does for chest X-rays, once at the end: craft without a box (`box=none`), as
    steps then are not clipped to one.

    Attributes:
        of: the attack whose images are clipped.
    """

    name: ClassVar[str] = "batch-clipped"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (WETSTEIN,)
    threat: ClassVar[ThreatModel] = _ANY
    batch_size: ClassVar[int | None] = _BATCH
    of: AnyAttack

    def derive(self, images: Tensor, adversarial: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        return adversarial.clamp(float(images.min()), float(images.max()))


@dataclass(frozen=True)
class Rounded(DerivedAttack):
    """Adversarial images as an 8-bit file would store them: rounded to 256 grey levels.

    The perturbation may grow by up to one level per pixel; allow it in the budget (`slack=1/255`).

    Attributes:
        of: the attack whose images are rounded.
        mode: to the `nearest` level, or `down` as in wetstein2020's released code for fundus images.
    """

    name: ClassVar[str] = "rounded"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = _ANY
    of: AnyAttack
    mode: Literal["nearest", "down"] = "nearest"

    def derive(self, images: Tensor, adversarial: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        levels = adversarial * 255
        # The small addition keeps a level that float32 puts just below itself.
        return (levels.round_() if self.mode == "nearest" else levels.add_(1e-3).floor_()).div_(255)
