"""The one stream of adversarial images: crafted once, verified once, and given batch by batch to its consumers.

Recording, probing and everything else that needs adversarial images consumes this stream; no other code runs an attack
on the images of a part. A batch is crafted when its consumer asks for it and then forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...contracts import AnyAttack, Budget, DerivedAttack, Goal, SampleRNG, UniversalAttack
from ...grid.blocks import GoalSpec, Stop
from ...grid.cells import Cell
from ...grid.parts import Part
from ...grid.targets import Target
from ...results.store import Store
from ...results.verdict import InvalidImagesError, Status, Verified, canonical, norms, verify
from ..context import RunContext
from ..data import LoadedPart
from ..explain import explain
from ..models.loading import budget_of, classifiers_of, module_of, part_of
from ..models.training import Progress
from ..numerics import global_seed
from .attack import run_attack
from .batches import batch_size_for, out_of_memory
from .goals import goal_for
from .universal import add_perturbation, load_perturbation

T = TypeVar("T")


@dataclass(frozen=True)
class Variant:
    """One set of adversarial images among those that a run of an attack gives.

    Attributes:
        value: of the attack's cumulative field, or None.
        derived: attacks derived from it, from the root outwards.
    """

    value: int | None = None
    derived: tuple[DerivedAttack, ...] = ()


@dataclass(frozen=True)
class Crafting:
    """What is crafted: one run of one attack against one source on the images of a part.

    Attributes:
        source: the model that the attack sees.
        part: the images.
        root: the attack at the largest cumulative value wanted; None for the clean images.
        variants: what is wanted of it.
        goal, stop, seed: as in the grid.
        cell: one of the cells that it makes, by which budget and classifiers are found.
        perturbations: of a universal attack, the identity of the perturbation for each cumulative value.
    """

    source: Target
    part: Part
    root: AnyAttack | None
    variants: tuple[Variant, ...]
    goal: GoalSpec | None
    stop: Stop
    seed: int
    cell: Cell
    perturbations: tuple[tuple[int | None, str], ...] = ()


@dataclass(frozen=True)
class Fault:
    """Why there are no images of a variant: the attack broke a rule (`invalid`) or raised (`failed`)."""

    status: Status
    reason: str


@dataclass
class Batch:
    """Some images of the part and what was crafted of them.

    Attributes:
        positions: their places in the part, int64 (n,).
        images: clean, float32 (n, c, h, w) in [0, 1].
        rng: their streams, restarted.
    """

    positions: Tensor
    images: Tensor
    rng: SampleRNG
    _crafted: Callable[[], Iterator[tuple[Variant, Verified]]] = field(repr=False)

    def only(self, rows: Tensor) -> Batch:
        """Some of its images, crafted among all of them."""

        def crafted() -> Iterator[tuple[Variant, Verified]]:
            for variant, found in self._crafted():
                yield variant, Verified(found.images[rows], found.norms.only(rows))

        return Batch(self.positions[rows], self.images[rows], self.rng[rows], crafted)

    def adversarial(self) -> Iterator[tuple[Variant, Verified]]:
        """Each variant with its verified images, crafted while it is asked for; a variant with a fault is left out."""
        return self._crafted()


class AdversarialStream:
    """The adversarial images of a part, batch by batch.

    Args:
        crafting: what is crafted.
        store: where weights and perturbations are.
        context: device, data root, caches.
        progress: called with (images done, images in all, what).

    Attributes:
        part: the images.
        budget: in pixel units.
        faults: why there are no images of a variant, as found so far; the stream ends where every variant has one.
        batch_size: images per batch; halved if memory does not suffice, unless the attack depends on it.
    """

    def __init__(self, crafting: Crafting, store: Store, context: RunContext, progress: Progress | None = None) -> None:
        self.crafting = crafting
        self.faults: dict[Variant, Fault] = {}
        self.part: LoadedPart = part_of(crafting.part, crafting.source, context, progress)
        self.budget: Budget = budget_of(crafting.cell, context, progress)
        self._device = context.device
        self._progress = progress
        module = module_of(crafting.source, store, context)
        self._classifiers = classifiers_of(module, crafting.source, crafting.cell.precision, self.part, context)
        self._perturbations = [
            (value, load_perturbation(identity, store, context.device)) for value, identity in crafting.perturbations
        ]
        setting = crafting.cell.setting
        self._fixed = setting.batch if setting is not None else None
        fitting = batch_size_for(self._classifiers[0].activation_bytes, context.device)
        self.batch_size = self._fixed or fitting

    @property
    def forward_passes(self) -> int:
        """Images passed forward so far."""
        return sum(c.forward_passes for c in self._classifiers)

    @property
    def backward_passes(self) -> int:
        """Images passed backward so far."""
        return sum(c.backward_passes for c in self._classifiers)

    def batches(self, consume: Callable[[Batch], T], positions: NDArray[np.integer[Any]] | None = None) -> Iterator[T]:
        """What `consume` makes of each batch, in order.

        A batch for which memory does not suffice, in the attack or in `consume`, is halved and consumed from its first
        image again: `consume` must keep nothing of a batch but what it returns.

        Args:
            consume: is given a batch.
            positions: the images wanted, by place in the part; all if not given.
        """
        wanted = torch.arange(len(self.part)) if positions is None else torch.as_tensor(np.asarray(positions))
        if self._fixed and positions is not None:
            yield from self._among(consume, wanted)
            return
        rng = self._rng(wanted)
        start = 0
        while start < len(wanted) and len(self.faults) < len(self.crafting.variants):
            stop = min(start + self.batch_size, len(wanted))
            faults = dict(self.faults)
            try:
                result = self._consumed(consume, wanted[start:stop], rng[torch.arange(start, stop)])
            except (MemoryError, RuntimeError) as error:
                if self._fixed or self.batch_size == 1 or not out_of_memory(error):
                    raise
                self.batch_size = max(1, self.batch_size // 2)
                self.faults = faults
                # Streams start over, as each image has one of its own.
                rng = self._rng(wanted)
                continue
            yield result
            start = stop
            if self._progress:
                self._progress(stop, len(wanted), "")

    def _among(self, consume: Callable[[Batch], T], wanted: Tensor) -> Iterator[T]:
        """As `batches`, where an image looks as it does only among all those of its batch."""
        size = self.batch_size
        for number in sorted({int(position) // size for position in wanted}):
            whole = torch.arange(number * size, min((number + 1) * size, len(self.part)))
            mine = wanted[(wanted >= whole[0]) & (wanted <= whole[-1])]

            def pick(batch: Batch, mine: Tensor = mine, first: int = number * size) -> T:
                return consume(batch.only(mine - first))

            yield self._consumed(pick, whole, self._rng(whole))

    def _rng(self, positions: Tensor) -> SampleRNG:
        return SampleRNG.for_ids(self.crafting.seed, self.part.data.ids[positions.numpy()].tolist(), self._device)

    def _consumed(self, consume: Callable[[Batch], T], positions: Tensor, rng: SampleRNG) -> T:
        images = self.part.tensor(positions.numpy(), self._device)
        for classifier in self._classifiers:
            classifier.begin(rng)
        # What libraries draw from global generators follows from the seed and the batch.
        with global_seed(rng.restarted().seed()):
            return consume(Batch(positions, images, rng, lambda: self._variants(positions, images, rng)))

    def _variants(self, positions: Tensor, images: Tensor, rng: SampleRNG) -> Iterator[tuple[Variant, Verified]]:
        """Every variant of one batch that has no fault, verified."""
        crafting = self.crafting
        if crafting.root is None or crafting.goal is None:
            clean = canonical(images)
            yield crafting.variants[0], Verified(clean, norms(images, clean, "linf"))
            return
        labels = None if self.part.labels is None else self.part.labels[positions]
        wanted, classes = crafting.goal, crafting.source.info.classes
        # Once it is asked for: a perturbation that is there is added without a goal, which may take a pass to know.
        goal = cache(lambda: goal_for(wanted, labels, self._classifiers[0], images, classes))
        for value, made in self._made(images, goal, rng):
            for variant in crafting.variants:
                if variant.value != value or variant in self.faults:
                    continue
                found = self._derived(variant, made, images, goal, rng)
                if found is not None:
                    yield variant, found

    def _made(self, images: Tensor, goal: Callable[[], Goal], rng: SampleRNG) -> Iterator[tuple[int | None, object]]:
        """What the root attack returns for each cumulative value, not yet verified."""
        root = self.crafting.root
        assert root is not None
        if isinstance(root, UniversalAttack):
            for value, perturbation in self._perturbations:
                yield value, add_perturbation(images, perturbation, self.budget)
            return
        wanted = {variant.value for variant in self.crafting.variants}
        yield from run_attack(
            root, wanted, self.crafting.stop, self._classifiers, images.clone(), goal(), self.budget, rng
        )

    def _derived(
        self, variant: Variant, adversarial: object, images: Tensor, goal: Callable[[], Goal], rng: SampleRNG
    ) -> Verified | None:
        """The images of a variant, verified; None where it has a fault, which is kept."""
        for derived in variant.derived:
            aim = goal()
            try:
                adversarial = derived.derive(images.clone(), adversarial, aim, self.budget, rng)  # type: ignore[arg-type]
            except Exception as error:
                if out_of_memory(error):
                    raise
                self.faults[variant] = Fault("failed", explain(error, f"attack '{derived.title}'"))
                return None
        try:
            return verify(adversarial, images, self.budget)
        except InvalidImagesError as error:
            self.faults[variant] = Fault("invalid", str(error))
            return None


def crafting_of(cells: Sequence[Cell], root: AnyAttack | None) -> tuple[Crafting, dict[str, Variant]]:
    """What makes these cells, which share a run of an attack, and the variant of each.

    Args:
        cells: cells with one source, part, goal, budget, precision and seed.
        root: their attack at the largest cumulative value among them; None for clean cells.
    """
    first = cells[0]
    variants = {cell.id: Variant(cell.cumulative_value, cell.chain) for cell in cells}
    perturbations: dict[int | None, str] = {}
    if isinstance(root, UniversalAttack):
        perturbations = {cell.cumulative_value: cell.perturbation_id for cell in cells}
    return (
        Crafting(
            source=first.source or first.target,
            part=first.part,
            root=root,
            variants=tuple(dict.fromkeys(variants.values())),
            goal=first.goal,
            stop=first.stop,
            seed=first.target.seed,
            cell=first,
            perturbations=tuple(perturbations.items()),
        ),
        variants,
    )
