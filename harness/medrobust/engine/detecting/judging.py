"""One model and one part: images and features, each taken once, and the detectors fitted and scored on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...contracts import Detector, DetectorAttack, Features, State
from ...errors import LostError
from ...grid.cells import Cell
from ...results.samples import Samples
from ...results.store import Store
from ...results.verdict import Norms, Status
from ..context import RunContext
from ..crafting.roots import root_of
from ..crafting.stream import AdversarialStream, Batch, Crafting, Variant, crafting_of
from ..explain import explain
from ..models.layers import layer_names, unknown_layer
from ..models.loading import module_of, part_of
from ..models.training import Progress
from .knowing import KnowingAttack
from .learning import Halves, TrainingImages, correct_when_clean, fitted, halves, scored
from .taking import Seen, Taker, layers_of, rows_of


def crafted_for(makes: Sequence[Cell]) -> dict[str, list[Cell]]:
    """The cells without detectors whose images cells with detectors rest on, those of one run of an attack together."""
    needed = {c.id: c for cell in makes for c in needed_by(cell)}
    groups: dict[str, list[Cell]] = {}
    for cell in needed.values():
        groups.setdefault(cell.craft_id, []).append(cell)
    return groups


Ended = tuple[Status, str]
"""How a run of an attack, or a cell, ended without a result, and why."""


@dataclass(frozen=True)
class SeenImages:
    """What is known of the adversarial images of one cell: logits and features, and their norms (n,)."""

    seen: Seen
    norms: Norms


@dataclass(frozen=True)
class Judged:
    """What became of a cell with a detector."""

    status: Status
    reason: str
    samples: Samples | None = None
    state: State | None = None


class Detecting:
    """One run of a step: images and features, each taken once, and the detectors fitted on them."""

    def __init__(self, makes: Sequence[Cell], store: Store, context: RunContext, progress: Progress | None) -> None:
        first = makes[0]
        self.makes, self.store, self.context, self.progress = makes, store, context, progress
        target = first.target
        self.part = part_of(first.part, target, context, progress)
        module = module_of(target, store, context)
        known = layer_names(module)
        self._faults: dict[str, Ended] = {}
        for cell in makes:
            if missing := [name for name in detector_of(cell).watches if name not in known]:
                self._faults[cell.id] = "failed", unknown_layer(missing[0], module)
        watched = [detector_of(cell).watches for cell in makes if cell.id not in self._faults]
        self.taker = Taker(module, layers_of(watched), len(target.info.classes))
        self.clean = self.taker.of_part(self.part, context.device)
        self.correct = correct_when_clean(self.clean, self.part)
        train = part_of(target.train, target, context, progress)
        self.train = TrainingImages(self.taker, train, context.device)
        self.images: dict[str, SeenImages] = {}
        self.passes = [0, 0]
        self.eps: float | None = None
        self._states: dict[tuple[str, str, str], State] = {}

    def craft(self) -> None:
        """The adversarial images of every attack that sees no detector."""
        open_ = {cell.id for each in self.makes if each.id not in self._faults for cell in needed_by(each)}
        for cells in crafted_for(self.makes).values():
            wanted = [cell for cell in cells if cell.id in open_]
            if not wanted:
                continue
            crafting, variants = crafting_of(wanted, root_of(wanted))
            found: dict[Variant, SeenImages | Ended]
            try:
                found = self._stream(crafting)
            except LostError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever an attack raises must not stop the others
                ended: Ended = ("failed", explain(error, wanted[0].describe()))
                found = dict.fromkeys(crafting.variants, ended)
            for cell in wanted:
                images = found[variants[cell.id]]
                if isinstance(images, tuple):
                    self._faults[cell.id] = images
                else:
                    self.images[cell.id] = images

    def _stream(self, crafting: Crafting, rows: NDArray[Any] | None = None) -> dict[Variant, SeenImages | Ended]:
        """What is seen of each variant, or why there is nothing; images not among `rows` have no numbers."""
        stream = AdversarialStream(crafting, self.store, self.context, self.progress)
        self.eps = stream.budget.eps

        def taken(batch: Batch) -> list[tuple[Variant, torch.Tensor, SeenImages]]:
            return [
                (variant, batch.positions, SeenImages(self.taker.of(v.images), v.norms.kept()))
                for variant, v in batch.adversarial()
            ]

        batches = [each for found in stream.batches(taken, rows) for each in found]
        self.passes[0] += stream.forward_passes
        self.passes[1] += stream.backward_passes
        result: dict[Variant, SeenImages | Ended] = {}
        for variant in crafting.variants:
            if fault := stream.faults.get(variant):
                result[variant] = fault.status, fault.reason
                continue
            mine = [(positions, images) for each, positions, images in batches if each == variant]
            places = torch.cat([positions for positions, _ in mine]).cpu()
            count = len(self.part)
            norms = Norms.joined([images.norms for _, images in mine]).spread(places, count)
            result[variant] = SeenImages(Seen.joined([i.seen for _, i in mine]).spread(places, count), norms)
        return result

    def judged(self, cell: Cell) -> Judged:
        """A detector fitted and its scores, or why there are none: no cell's fault is another's."""
        for need in (cell, *needed_by(cell)):
            if fault := self._faults.get(need.id):
                return Judged(*fault)
        try:
            return self._judged(cell)
        except LostError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises must not stop the others
            assert cell.detector is not None
            return Judged("failed", explain(error, f"detector '{cell.detector.detector.label}'"))

    def _judged(self, cell: Cell) -> Judged:
        assert cell.detector is not None
        detector = detector_of(cell)
        split = halves(cell.detector, self.part, self.correct, cell.part.split_seed)
        learned = cell.learned_from
        key = (cell.detector.detector.canonical, learned.id, str(cell.detector.fit_on))
        if key not in self._states:
            adversarial = self.images[learned.id].seen.features
            self._states[key] = fitted(detector, self.clean.features, adversarial, split, self.train, cell)
        state = self._states[key]
        images: SeenImages | Ended
        if knows_detector(cell):
            # It costs most by far, and images that are wrong when clean count nowhere.
            split = replace(split, scored=split.scored & self.correct)
            images = self._evading(cell, detector, state, split)
        else:
            images = self.images[cell.undetected.id]
        if isinstance(images, tuple):
            return Judged(*images)
        warning = "; ".join(text for text in (detector.leaks, split.warning) if text)
        scores = [self._scores(detector, state, seen, split) for seen in (self.clean.features, images.seen.features)]
        data = self.part.data
        samples = Samples(
            np.asarray(data.ids),
            None if data.groups is None else np.asarray(data.groups),
            data.labels,
            images.seen.logits.numpy(),
            clean_scores=scores[0],
            scores=scores[1],
            **images.norms.columns(),
        )
        return Judged("ok", warning, samples, state)

    def _scores(self, detector: Detector, state: State, seen: Features, split: Halves) -> NDArray[np.float64]:
        whole = np.full(len(self.part), np.nan)
        whole[split.scored] = scored(detector, state, seen[split.scored])
        return whole

    def _evading(self, cell: Cell, detector: Detector, state: State, split: Halves) -> SeenImages | Ended:
        """The images of an attack that knows the detector, of those that are scored."""
        assert isinstance(cell.root, DetectorAttack)
        taker = replace(self.taker, layers=detector.watches)
        attack = KnowingAttack(cell.root, taker, detector, state, self.train)
        variant = Variant()
        crafting = Crafting(
            source=cell.source or cell.target,
            part=cell.part,
            root=attack,
            variants=(variant,),
            goal=cell.goal,
            stop=cell.stop,
            seed=cell.target.seed,
            cell=cell,
        )
        return self._stream(crafting, rows_of(split.scored))[variant]


def needed_by(cell: Cell) -> list[Cell]:
    """The cells whose adversarial images one with a detector rests on."""
    return [each for each in (cell.learned_from, cell.undetected) if not knows_detector(each)]


def knows_detector(cell: Cell) -> bool:
    """Whether its attack knows the detector, and so comes after it."""
    return isinstance(cell.root, DetectorAttack)


def detector_of(cell: Cell) -> Detector:
    """The detector of a cell that has one."""
    assert cell.detector is not None
    plugin = cell.detector.detector.plugin
    assert isinstance(plugin, Detector)
    return plugin
