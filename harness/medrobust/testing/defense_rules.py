"""Rules for defenses: transformations in front of a model, and those that train."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from ..contracts import (
    DataInfo,
    Defense,
    ImageData,
    Preprocessing,
    RandomPreprocessing,
    Recipe,
    TrainingDefense,
    cumulative_field,
)
from ..engine.data import LoadedPart
from ..engine.models.random_models import RandomInput, drawing
from ..engine.steps.defense_training import training_of
from ..results.verdict import logits_fault
from .opened import opened_files
from .rules import Broken, LeftOut, Rule, named, rule
from .situations import SITUATIONS, SIZE, Situation, TinyNetwork, streams, tiny_images

CLOSE: Final = 1e-4
"""Difference of logits, relative to the largest, that rounding may make."""
STEPS: Final = 2
"""Iterations of a training defense in these tests."""
TRAINED_ON: Final = 24
"""Training images."""


@dataclass
class DefenseCase:
    """A defense in front of tiny networks, or training one."""

    defense: Defense

    def wrapped(self, situation: Situation) -> nn.Module:
        """A tiny network with the transformation in front of it.

        Raises:
            LeftOut: if the defense trains.
        """
        network = TinyNetwork(situation.channels, situation.outputs)
        match self.defense:
            case RandomPreprocessing():
                return RandomInput(self.defense, network).eval()
            case Preprocessing():
                return self.defense.wrap(network).eval()
        raise LeftOut("it trains, and transforms no image")

    def logits(self, situation: Situation, rows: slice = slice(None), seed: int = 0) -> Tensor:
        """What the defended network says of images; random numbers follow from the seed."""
        module, images = self.wrapped(situation), situation.images[rows]
        with torch.no_grad(), drawing(module, streams(situation.ids[rows], seed)):
            logits: Tensor = module(images)
        return logits

    def trained(self, *, done: int = 0, start: TinyNetwork | None = None, seed: int = 0) -> Iterator[TinyNetwork]:
        """The network after each iteration.

        Raises:
            LeftOut: if the defense does not train.
        """
        if not isinstance(self.defense, TrainingDefense):
            raise LeftOut("it does not train")
        field = cumulative_field(self.defense)
        defense: TrainingDefense = dataclasses.replace(self.defense, **({field: STEPS} if field else {}))  # type: ignore[type-var]
        network = start or TinyNetwork(1, 2)
        network.requires_grad_(True)
        training = training_of(network, training_part(), RECIPE, seed=seed, order_seed=0, done=done)
        with torch.random.fork_rng(devices=[]):
            for module in defense.train(training):
                yield _copy(module)


RECIPE: Final = Recipe(learning_rate=1e-3, epochs=1, batch_size=8, select_on="last")


def training_part() -> LoadedPart:
    """Tiny images in two classes, which a bright corner tells apart."""
    images = (tiny_images(TRAINED_ON, 1, seed=3) * 200).round().to(torch.uint8).permute(0, 2, 3, 1).numpy().copy()
    labels = np.arange(TRAINED_ON) % 2
    images[labels == 1, :6, :6] += 50
    ids = np.array([f"train-{number}" for number in range(TRAINED_ON)])
    data = ImageData(images, labels.astype(np.int64), ids)
    return LoadedPart(data, DataInfo(("a", "b"), (SIZE, SIZE), 1), (1, SIZE, SIZE))


def _copy(module: nn.Module) -> TinyNetwork:
    copied = TinyNetwork(1, 2)
    copied.load_state_dict(module.state_dict())
    return copied


@rule("logits")
def logits(case: DefenseCase) -> None:
    """The defended model gives finite logits of the model's form, for every kind of model and image."""
    for situation in SITUATIONS:
        found = case.logits(situation)
        if fault := logits_fault(found, len(situation.ids), situation.outputs):
            raise Broken(f"{situation.name}: {fault}")


@rule("model untouched")
def model_untouched(case: DefenseCase) -> None:
    """A transformation leaves the weights of the model as they were, and the images too."""
    network, images = TinyNetwork(1, 2), SITUATIONS[0].images
    before, kept = {k: v.clone() for k, v in network.state_dict().items()}, images.clone()
    if isinstance(case.defense, RandomPreprocessing):
        case.defense.transform(images, streams(SITUATIONS[0].ids))
    elif isinstance(case.defense, Preprocessing):
        with torch.no_grad():
            case.defense.wrap(network).eval()(images)
    if changed := [name for name, value in before.items() if not torch.equal(value, network.state_dict()[name])]:
        raise Broken(f"has changed the weights {named(changed)}")
    if not torch.equal(kept, images):
        raise Broken("has changed the images that it was given; transform a copy")


@rule("seed")
def seed(case: DefenseCase) -> None:
    """The same random numbers give the same logits; one that is random says so (`stochastic`)."""
    situation = SITUATIONS[0]
    first, again = case.logits(situation), case.logits(situation)
    if not torch.equal(first, again):
        raise Broken("two passes with the same random numbers differ; `rng` is their only source")
    if not case.defense.stochastic and not torch.equal(first, case.logits(situation, seed=1)):
        raise Broken("is random and does not say so; derive it from RandomPreprocessing, or declare stochastic = True")


@rule("batches")
def batches(case: DefenseCase) -> None:
    """What an image becomes does not depend on the others of its batch."""
    situation = SITUATIONS[0]
    if case.defense.stochastic and not isinstance(case.defense, RandomPreprocessing):
        raise LeftOut("it draws from the global generators, whose numbers depend on the batch")
    together, alone = case.logits(situation), case.logits(situation, slice(0, 1))
    difference = float((together[:1] - alone).abs().max() / together.abs().max())
    if difference > CLOSE:
        raise Broken(f"logits of an image alone differ by {difference:.2g} (relative) from those in a batch of 6")


@rule("trains")
def trains(case: DefenseCase) -> None:
    """Training changes the weights, and what it yields gives finite logits."""
    before = TinyNetwork(1, 2).state_dict()
    after = list(case.trained())
    if not after:
        raise Broken("`train` yields nothing")
    if all(torch.equal(value, after[-1].state_dict()[name]) for name, value in before.items()):
        raise Broken("the weights are what they were before the training")
    if fault := logits_fault(after[-1](tiny_images(4)), 4, 2):
        raise Broken(fault)


@rule("training seed")
def training_seed(case: DefenseCase) -> None:
    """The same seed gives the same weights."""
    first, again = list(case.trained())[-1], list(case.trained())[-1]
    for name, value in first.state_dict().items():
        if not torch.equal(value, again.state_dict()[name]):
            raise Broken(f"two trainings with one seed give other weights '{name}'; draw from `training.seed`")


@rule("continued")
def continued(case: DefenseCase) -> None:
    """A training that was interrupted goes on after the last iteration that was kept, to the same end."""
    if cumulative_field(case.defense) is None:
        raise LeftOut("it has no cumulative field, and is trained in one go")
    whole = list(case.trained())
    if len(whole) != STEPS:
        raise Broken(f"yields {len(whole)} times for {STEPS} iterations")
    rest = list(case.trained(done=STEPS - 1, start=_copy(whole[STEPS - 2])))
    if len(rest) != 1:
        told = f"continued after iteration {STEPS - 1} of {STEPS}, it yields {len(rest)} times"
        raise Broken(f"{told}; begin at training.done")
    for name, value in whole[-1].state_dict().items():
        if not torch.equal(value, rest[0].state_dict()[name]):
            raise Broken(f"continued after iteration {STEPS - 1}, it ends with other weights '{name}'")


@rule("training images")
def training_images(case: DefenseCase) -> None:
    """It learns from nothing but the images that it was given: no file is read while it trains."""
    with opened_files() as files:
        list(case.trained())
    if files:
        told = f"reads {named(sorted(map(str, files)))} while it trains"
        raise Broken(f"{told}; its results would rest on what no record names")


WRAPPING: Final[tuple[Rule, ...]] = (logits, model_untouched, seed, batches)
TRAINING: Final[tuple[Rule, ...]] = (trains, training_seed, continued, training_images)


def of(defense: Defense) -> tuple[Rule, ...]:
    """The rules of a defense: of one that trains, or of a transformation."""
    return TRAINING if isinstance(defense, TrainingDefense) else WRAPPING
